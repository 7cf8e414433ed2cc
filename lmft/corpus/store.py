"""A compiled corpus on disk: `train.jsonl`, `heldout.jsonl`, `corpus.json`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lmft.corpus import info
from lmft.corpus.document_rows import from_row, to_row
from lmft.corpus.documents import Document
from lmft.corpus.info import CorpusInfo, SideInfo
from lmft.corpus.spool import content_hash
from lmft.errors import CorpusError
from lmft.paths import sha256_file

TRAIN_FILE, HELDOUT_FILE, REPORT_FILE = "train.jsonl", "heldout.jsonl", "report.html"
FILES = frozenset({TRAIN_FILE, HELDOUT_FILE, REPORT_FILE, info.FILE_NAME})


@dataclass(frozen=True)
class Corpus:
    """Documents on their two sides, and what is known of them."""

    train: tuple[Document, ...]
    heldout: tuple[Document, ...]
    info: CorpusInfo
    path: Path


class SideWriter:
    """Writes one side, a document a line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("w", encoding="utf-8", newline="\n")
        self._story = -1
        self._n_documents = self._n_parts = self._n_bytes = 0
        self.content = hashlib.sha256()

    def add(self, document: Document) -> None:
        self._file.write(to_row(document) + "\n")
        self._n_documents += document.story != self._story
        self._story = document.story
        self._n_parts += 1
        self._n_bytes += document.n_bytes
        self.content.update(content_hash(document))
        self.content.update(b"%d%d" % (document.begins, document.ends))

    def close(self) -> SideInfo:
        self._file.close()
        return SideInfo(
            n_documents=self._n_documents,
            n_parts=self._n_parts,
            n_bytes=self._n_bytes,
            sha256=sha256_file(self._path),
        )


def is_compiled(path: Path) -> bool:
    return (path / info.FILE_NAME).is_file()


def load_info(path: Path) -> CorpusInfo:
    """What is known of a compiled corpus, once its files are proven to be what was compiled.

    Raises:
        CorpusError: it is not one, is of another version, or its files were changed since.
    """
    try:
        known = CorpusInfo.read(path)
    except (OSError, ValueError) as error:
        raise CorpusError(
            f"{path} is not a corpus that this version of lmft compiled.",
            f"Compile the text: lmft corpus build TEXT -o {path}.",
        ) from error
    for side, name in ((known.train, TRAIN_FILE), (known.heldout, HELDOUT_FILE)):
        if not (path / name).is_file() or sha256_file(path / name) != side.sha256:
            raise CorpusError(
                f"{path / name} is not what was compiled: it was changed, cut short or removed.",
                "Change the text, not what was made of it, and compile again.",
            )
    return known


def load_corpus(path: Path) -> Corpus:
    """Read a compiled corpus back. Raises CorpusError: see `load_info`."""
    known = load_info(path)
    return Corpus(
        train=tuple(read_side(path / TRAIN_FILE)),
        heldout=tuple(read_side(path / HELDOUT_FILE)),
        info=known,
        path=path,
    )


def read_side(path: Path) -> Iterator[Document]:
    with path.open(encoding="utf-8", newline="\n") as file:
        for line in file:
            yield from_row(line)
