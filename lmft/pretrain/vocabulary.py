"""A tokenizer for the corpus, and the corpus as token ids on disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer

from lmft.errors import BaseModelError
from lmft.format.fold import fold_quotes
from lmft.pretrain import chat
from lmft.pretrain.recipe import Vocabulary
from lmft.pretrain.text import SEPARATOR, Written

TOKENIZER_FILE = "tokenizer.json"
_BATCH = 64
_PIECE_CHARACTERS = 100_000


def train_tokenizer(texts: Iterable[str], wanted: Vocabulary) -> Tokenizer:
    """Byte-level BPE; id 0 ends a document, the tokens of a chat follow."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = ByteLevelDecoder()
    trainer = BpeTrainer(
        vocab_size=wanted.size,
        special_tokens=[SEPARATOR, *(chat.TOKENS if wanted.chat else ())],
        initial_alphabet=ByteLevel.alphabet(),
        show_progress=False,
    )
    folded = (fold_quotes(text) if wanted.fold_quotes else text for text in texts)
    tokenizer.train_from_iterator(folded, trainer)
    return tokenizer


def load_tokenizer(directory: Path) -> Tokenizer:
    """Raises BaseModelError: there is none."""
    file = directory / TOKENIZER_FILE
    if not file.is_file():
        raise BaseModelError(f"{directory} has no {TOKENIZER_FILE}.", "Take another base.")
    tokenizer: Tokenizer = Tokenizer.from_file(str(file))
    return tokenizer


def write_tokens(
    documents: Iterable[Written], tokenizer: Tokenizer, file: Path, *, fold: bool
) -> None:
    """Each document's ids, after one end-of-text: uint16, or uint32 for a large vocabulary.

    What looks like a control token in a text is text.
    """
    dtype = token_type(tokenizer)
    separator = tokenizer.token_to_id(SEPARATOR)
    end = tokenizer.token_to_id(chat.END)
    tokenizer.encode_special_tokens = True
    with file.open("wb") as out:
        for pieces in _batches(documents, fold):
            encoded_all = tokenizer.encode_batch_fast(
                [piece.text for piece in pieces], add_special_tokens=False
            )
            for piece, encoded in zip(pieces, encoded_all, strict=True):
                before = [separator] if piece.begins else []
                around = [tokenizer.token_to_id(piece.control)] if piece.control else []
                after = [end] if piece.control else []
                out.write(np.array([*before, *around, *encoded.ids, *after], dtype).tobytes())
    tokenizer.encode_special_tokens = False


def token_type(tokenizer: Tokenizer) -> type[np.uint16] | type[np.uint32]:
    return np.uint16 if tokenizer.get_vocab_size() <= 2**16 else np.uint32


def read_tokens(file: Path, tokenizer: Tokenizer) -> NDArray[Any]:
    """(N,), mapped from the file."""
    return np.memmap(file, dtype=token_type(tokenizer), mode="r")


class _Piece(NamedTuple):
    """Attributes:
    begins: a document does. control: the token that begins a turn; empty for plain text.
    """

    begins: bool
    control: str
    text: str


def _batches(documents: Iterable[Written], fold: bool) -> Iterator[list[_Piece]]:
    batch: list[_Piece] = []
    for document in documents:
        for piece in _pieces(document):
            batch.append(piece._replace(text=fold_quotes(piece.text)) if fold else piece)
            if len(batch) == _BATCH:
                yield batch
                batch = []
    if batch:
        yield batch


def _pieces(document: Written) -> Iterator[_Piece]:
    """Turns; of a story, pieces between paragraphs, so that a book does not go through whole."""
    if not isinstance(document, str):
        for number, (role, words) in enumerate(document):
            yield _Piece(number == 0, chat.BEGINS[role], words)
        return
    at = 0
    while at < len(document):
        end = document.find("\n", at + _PIECE_CHARACTERS)
        end = len(document) if end < 0 else end
        yield _Piece(at == 0, "", document[at:end])
        at = end
