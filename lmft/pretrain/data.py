"""The corpus as token ids on disk, made once: what trains, and what is measured on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from tokenizers import Tokenizer

from lmft import paths
from lmft.bases import Base
from lmft.format.fold import fold_quotes
from lmft.pretrain import chat
from lmft.pretrain.dialogue import as_lines, exchanges
from lmft.pretrain.recipe import Pretraining
from lmft.pretrain.second import adventures, in_first_person
from lmft.pretrain.text import Written, content_hash, sides
from lmft.pretrain.vocabulary import (
    TOKENIZER_FILE,
    load_tokenizer,
    read_tokens,
    train_tokenizer,
    write_tokens,
)

_TRAIN, _HELDOUT, _SIDES = "train.bin", "heldout.bin", "sides.json"
# Where transformers puts it.
_TEMPLATE = "chat_template.jinja"
_PREFIX = "tokens-"
_KEY_CHARACTERS = 12


@dataclass(frozen=True)
class Data:
    """Attributes:
    key: of all that decided the tokens: the text's content, the base, the recipe.
    train_N, heldout_N: token ids, mapped from their files.
    heldout_bytes: of the text of `heldout_N`.
    fold: quotes were made straight.
    has_chat: the tokens of lmft.pretrain.chat are in the vocabulary and were met in this text, or
        in that of the base.
    text_hash: sha256 of what was read.
    """

    key: str
    tokenizer: Tokenizer
    train_N: NDArray[Any]
    heldout_N: NDArray[Any]
    heldout_bytes: int
    fold: bool
    has_chat: bool
    text_hash: str


def data_for(recipe: Pretraining, base: Base | None, work: Path) -> Data:
    """Read the text and write its tokens into `work`; what an earlier attempt wrote is taken.

    Args:
        base: whose vocabulary it is; None trains one.

    Raises:
        InputError: the text cannot be read, or is too small; DiskFullError.
    """
    path = Path(recipe.data)
    text_hash = content_hash(path)
    key = _key(recipe, base, text_hash)
    made = work / f"{_PREFIX}{key}"
    if not made.is_dir():
        fold = base.fold_quotes if base else recipe.vocabulary.fold_quotes
        tokenizer = load_tokenizer(base.path) if base else None
        chats = tokenizer.token_to_id(chat.END) is not None if tokenizer else recipe.vocabulary.chat
        train, heldout = sides(path, recipe.heldout_share, chats=chats)
        with paths.publishing(made) as staging:
            tokenizer = tokenizer or train_tokenizer(map(_words, train), recipe.vocabulary)
            # Its own way to write a file hides a full disk.
            (staging / TOKENIZER_FILE).write_text(tokenizer.to_str(), encoding="utf-8")
            write_tokens(_mixed(train, recipe, chats), tokenizer, staging / _TRAIN, fold=fold)
            write_tokens(heldout, tokenizer, staging / _HELDOUT, fold=fold)
            known = {
                "heldout_bytes": sum(_n_bytes(one, fold) for one in heldout),
                "fold": fold,
                "has_chat": chats
                and (_speaks(base) or _holds(read_tokens(staging / _TRAIN, tokenizer), tokenizer)),
                "text_hash": text_hash,
            }
            (staging / _SIDES).write_text(json.dumps(known), encoding="utf-8")
    tokenizer = load_tokenizer(made)
    return Data(
        key=key,
        tokenizer=tokenizer,
        train_N=read_tokens(made / _TRAIN, tokenizer),
        heldout_N=read_tokens(made / _HELDOUT, tokenizer),
        **json.loads((made / _SIDES).read_text(encoding="utf-8")),
    )


def _key(recipe: Pretraining, base: Base | None, text_hash: str) -> str:
    left_out = ("training", "name", "prompts", "shape", "data")
    said = {key: value for key, value in recipe.tree().items() if key not in left_out}
    told = json.dumps([said, text_hash, base.hash if base else None])
    return hashlib.sha256(told.encode()).hexdigest()[:_KEY_CHARACTERS]


def _speaks(base: Base | None) -> bool:
    """Whether its chat tokens have met a text already."""
    return base is not None and (base.path / _TEMPLATE).is_file()


def _holds(train_N: NDArray[Any], tokenizer: Tokenizer) -> bool:
    """Whether every role speaks in the text: a token that was never met means nothing."""
    return all(bool((train_N == tokenizer.token_to_id(token)).any()) for token in chat.TOKENS)


def _words(document: Written) -> str:
    return document if isinstance(document, str) else "\n".join(words for _, words in document)


def _n_bytes(document: Written, fold: bool) -> int:
    text = _words(document)
    return len((fold_quotes(text) if fold else text).encode())


def _mixed(documents: list[Written], recipe: Pretraining, chats: bool) -> Iterator[Written]:
    """The documents, then what is derived from them, up to its share."""
    yield from documents
    stories = [one for one in documents if isinstance(one, str)]
    n_characters = sum(map(len, stories))
    told = (adventures(text) for text in stories if in_first_person(text))
    yield from _up_to(told, recipe.mix.second_person * n_characters)
    yield from _up_to(_spoken(stories, chats), recipe.mix.dialogue * n_characters)


def _spoken(stories: list[str], chats: bool) -> Iterator[Written]:
    """Every second exchange as a chat, where there are tokens for it."""
    found = (exchange for text in stories for exchange in exchanges(text))
    for number, exchange in enumerate(found):
        turns = chat.from_exchange(exchange) if chats and number % 2 == 0 else None
        yield turns or as_lines(exchange)


def _up_to(documents: Iterable[Written], n_characters: float) -> Iterator[Written]:
    for document in documents:
        if n_characters <= 0:
            return
        yield document[: int(n_characters)] if isinstance(document, str) else document
        n_characters -= len(_words(document))
