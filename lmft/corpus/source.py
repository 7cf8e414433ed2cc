"""The files that go in: found, named for people, and opened in the ways that readers need."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from lmft.corpus.decode import MARKS, Encoding, Unreadable, find_encoding, read_lines, read_text
from lmft.errors import InputError

HEAD_BYTES = 64 << 10
MAX_FILE_BYTES = 2 << 30
# A format that must be parsed whole (JSON, HTML, PDF) takes several times its size in memory.
MAX_WHOLE_BYTES = 64 << 20
_NAME_CHARACTERS = 120


@dataclass(frozen=True, eq=False)
class SourceFile:
    """One input file.

    Attributes:
        name: as shown in reports and kept in documents; harmless to print, never a path to open.
            A service that keeps uploads under ids gives the name that the person knows.
        siblings: every file of the same input, this one included, for formats that are spread
            over several (Rasa).
    """

    path: Path
    name: str
    siblings: Sequence[SourceFile] = ()

    @cached_property
    def n_bytes(self) -> int:
        return self.path.stat().st_size

    @cached_property
    def suffix(self) -> str:
        """Of the name, lower case, with the dot; a hint at most, content decides."""
        return PurePosixPath(self.name).suffix.lower()

    @cached_property
    def head(self) -> bytes:
        """The first HEAD_BYTES."""
        with self.path.open("rb") as file:
            return file.read(HEAD_BYTES)

    @cached_property
    def head_text(self) -> str:
        """The head as text for guessing formats: never fails, may hold replacement characters."""
        label = next((label for mark, label in MARKS if self.head.startswith(mark)), "utf-8")
        return self.head.decode(label, errors="replace")

    @cached_property
    def encoding(self) -> Encoding:
        """Raises Unreadable when the file is not text."""
        return find_encoding(self.path)

    def lines(self) -> Iterator[str]:
        """Decoded lines without line ends, streamed. Raises Unreadable."""
        return read_lines(self.path, self.encoding)

    def data(self) -> bytes:
        """The whole file. Raises Unreadable when it is longer than MAX_WHOLE_BYTES."""
        self._require_size()
        return self.path.read_bytes()

    def text(self) -> str:
        """The whole file decoded, with `\\n` line ends. Raises Unreadable."""
        self._require_size()
        return read_text(self.path, self.encoding)

    def _require_size(self) -> None:
        if self.n_bytes > MAX_WHOLE_BYTES:
            raise Unreadable(
                f"{self.n_bytes / 1e6:.0f} MB, and this format must be read whole; "
                f"split it into files of at most {MAX_WHOLE_BYTES / 1e6:.0f} MB"
            )


def find_sources(inputs: Sequence[Path | SourceFile]) -> list[SourceFile]:
    """The files of `inputs` in the order given, each folder's sorted by name.

    Links inside a folder are not followed: it may come from anywhere and must not reach out of
    itself. Hidden files are left out.

    Raises:
        InputError: an input that is not there or cannot be read, or a folder without files.
    """
    sources: list[SourceFile] = []
    for given in inputs:
        if isinstance(given, SourceFile):
            sources.append(given)
        else:
            sources += _of_input(given, several=len(inputs) > 1)
    return sources


def _of_input(path: Path, *, several: bool) -> list[SourceFile]:
    # os.path: a name that is too long for the disk is not there either.
    if not os.path.exists(path):
        raise InputError(f"No such file or folder: {path}.", "Check the path.")
    if not os.access(path, os.R_OK):
        raise InputError(f"{path} cannot be read.", "Check its permissions.")
    if path.is_file():
        return [SourceFile(path, display_name(path.name))]
    if not path.is_dir():
        raise InputError(f"{path} is neither a file nor a folder.", "Give a regular file.")
    if (path / "corpus.json").is_file() and (path / "train.jsonl").is_file():
        raise InputError(f"{path} is a compiled corpus already.", "Train on it as it is.")
    files = sorted(
        file
        for file in path.rglob("*")
        if not file.is_symlink()
        and file.is_file()
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
    )
    if not files:
        raise InputError(f"No files in {path}.", "Give a folder with text in it.")
    prefix = f"{path.resolve().name}/" if several else ""
    siblings: list[SourceFile] = []
    siblings += [
        SourceFile(file, display_name(prefix + file.relative_to(path).as_posix()), siblings)
        for file in files
    ]
    return siblings


def display_name(name: str) -> str:
    """A file's name that is safe to print: no control or direction characters, bounded."""
    shown = "".join(
        character if _harmless(character) else f"\\u{ord(character):04x}" for character in name
    )
    if len(shown) <= _NAME_CHARACTERS:
        return shown
    return f"{shown[: _NAME_CHARACTERS // 2]}...{shown[-_NAME_CHARACTERS // 2 :]}"


def _harmless(character: str) -> bool:
    # Cc control, Cf format (right-to-left override), Cs surrogate (a byte that is not UTF-8).
    return unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
