"""The whole way from a path to a corpus ready for training."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path

from lmft.corpus.documents import Document, Message
from lmft.corpus.read import PART_BYTES, cut_long, find_files, read_file
from lmft.corpus.split import content_hash, split
from lmft.errors import CorpusError
from lmft.format.fold import fold_quotes

ENOUGH_DOCUMENTS = 10


@dataclass(frozen=True)
class Corpus:
    """Documents on their two sides, and what the person should know about them."""

    train: tuple[Document, ...]
    heldout: tuple[Document, ...]
    n_files: int
    n_documents: int
    n_duplicates: int
    notes: tuple[str, ...]
    hash: str

    @property
    def train_bytes(self) -> int:
        return sum(document.n_bytes for document in self.train)

    @property
    def heldout_bytes(self) -> int:
        return sum(document.n_bytes for document in self.heldout)

    @property
    def is_chat(self) -> bool:
        return bool(self.train[0].messages)

    def summary(self) -> str:
        kind = "conversations" if self.is_chat else "documents"
        text = (
            f"{self.n_files} file(s), {self.n_documents} {kind}: "
            f"{self.train_bytes / 1000:.0f} KB to train on, "
            f"{self.heldout_bytes / 1000:.0f} KB held out"
        )
        return text + (
            f", {self.n_duplicates} exact duplicate(s) dropped" if self.n_duplicates else ""
        )


def compile_corpus(
    path: Path, *, heldout_share: float = 0.1, straight_quotes: bool = False
) -> Corpus:
    """Read, fold, drop exact repeats, cut, split. Deterministic: same bytes, same corpus.

    Args:
        heldout_share: the share of bytes kept for measuring, in (0, 0.5].
        straight_quotes: fold typographic quotes, for a base whose vocabulary has none.

    Raises:
        InputError, CorpusError: with the file and the reason.
    """
    files = find_files(path)
    documents: list[Document] = []
    notes: list[str] = []
    for file in files:
        name = file.name if path.is_file() else file.relative_to(path).as_posix()
        found, file_notes = read_file(file, name)
        documents += found
        notes += file_notes
    if len({bool(document.messages) for document in documents}) > 1:
        raise CorpusError(
            f"{path} mixes stories and conversations.",
            "Train them as two adapters, one folder each.",
        )
    if straight_quotes:
        documents = [_fold(document) for document in documents]
    unique = list({content_hash(document): document for document in documents}.values())
    # A small corpus is cut finer, or its held-out part would be a single accident.
    total = sum(document.n_bytes for document in unique)
    part_bytes = max(500, min(PART_BYTES, total // 20))
    # With documents enough, whole ones are held out; a few long ones must be cut for that.
    parts = unique
    if len(unique) < ENOUGH_DOCUMENTS:
        parts = [part for document in unique for part in cut_long(document, part_bytes)]
    train, heldout = split(parts, heldout_share)
    digest = hashlib.sha256("".join(content_hash(part) for part in train + heldout).encode())
    return Corpus(
        train=tuple(train),
        heldout=tuple(heldout),
        n_files=len(files),
        n_documents=len(unique),
        n_duplicates=len(documents) - len(unique),
        notes=tuple(notes),
        hash=digest.hexdigest(),
    )


def _fold(document: Document) -> Document:
    messages = tuple(
        Message(message.role, fold_quotes(message.content)) for message in document.messages
    )
    return dataclasses.replace(document, text=fold_quotes(document.text), messages=messages)
