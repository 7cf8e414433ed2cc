"""Documents on their way, kept on disk: a corpus may be larger than the memory.

What the later stages must know of all documents at once (sizes, hashes, who belongs to whom)
stays in flat arrays, about 60 bytes a document.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt

from lmft.corpus.document_rows import from_row, to_row
from lmft.corpus.documents import Document

HASH_BYTES = 16


class Spool:
    """Append documents, then read them back in order, as often as needed.

    Attributes (one entry a document):
        sizes: bytes of text. stories: number of the story it belongs to. scenes: number of its
            scene, counted over the whole corpus. alive: 0 for one that was taken back.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("w", encoding="utf-8", newline="\n")
        self.sizes = array("q")
        self.stories = array("q")
        self.scenes = array("q")
        self.alive = array("b")
        self._hashes = bytearray()
        self._last_scene: tuple[int, int] | None = None

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self.sizes)

    def add(self, document: Document) -> None:
        """Append one part of a story; parts of one story follow each other."""
        scene = (document.story, document.scene)
        if self._last_scene is None:
            self.scenes.append(0)
        else:
            self.scenes.append(self.scenes[-1] + (scene != self._last_scene))
        self._last_scene = scene
        self.stories.append(document.story)
        self.sizes.append(document.n_bytes)
        self.alive.append(1)
        self._hashes += content_hash(document)
        self._file.write(to_row(document) + "\n")

    def take_back(self, first: int) -> None:
        """Forget everything from document number `first` on: its file turned out to be bad."""
        for index in range(first, len(self)):
            self.alive[index] = 0

    @property
    def hashes(self) -> npt.NDArray[np.uint64]:
        """(N, 2): `content_hash` of each document, so ordered as its bytes are."""
        return np.frombuffer(bytes(self._hashes), ">u8").astype(np.uint64).reshape(-1, 2)

    def documents(
        self, only: npt.NDArray[np.bool_] | None = None
    ) -> Iterator[tuple[int, Document]]:
        """All that are alive, with their numbers, in order; of `only` (N,) where that is True."""
        self._file.flush()
        with self._path.open("rb") as lines:
            for index, line in enumerate(lines):
                if self.alive[index] and (only is None or only[index]):
                    yield index, from_row(line.decode())


def content_hash(document: Document) -> bytes:
    """sha256 of the words and who says them, cut to HASH_BYTES bytes."""
    digest = hashlib.sha256()
    for part, turns in (
        (b"messages", document.messages),
        (b"chosen", document.chosen),
        (b"rejected", document.rejected),
    ):
        for turn in turns:
            digest.update(b"\x1e%s\x1f%s\x1f" % (part, turn.role.encode()))
            digest.update(f"{turn.name or ''}\x1f{turn.content}\x1f{turn.trained:d}".encode())
            for call in turn.tool_calls:
                digest.update(f"\x1f{call.name}\x1f{call.arguments}".encode())
    digest.update(document.text.encode())
    digest.update(document.tools.encode())
    return digest.digest()[:HASH_BYTES]
