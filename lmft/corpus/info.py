"""`corpus.json`: everything that is known of a compiled corpus, without its text."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from lmft.corpus.documents import Kind
from lmft.format.contract import Speakers

FILE_NAME = "corpus.json"


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FileInfo(_Strict):
    """One input file: which reader took it, and why."""

    name: str
    n_bytes: int
    reader: str
    reason: str
    kinds: tuple[Kind, ...]
    n_documents: int


class SideInfo(_Strict):
    """Train or held-out. A part is one line of the side's file; sha256 is of that file."""

    n_documents: int
    n_parts: int
    n_bytes: int
    sha256: str


class SpeakerInfo(_Strict):
    name: str
    turns: int
    n_bytes: int


class CastInfo(_Strict):
    """Who plays whom in a corpus of named speakers; the others are further names in it."""

    model: str
    you: str
    others: tuple[str, ...]
    reason: str


class DropInfo(_Strict):
    """One place where something was left out on purpose."""

    file: str
    reason: str
    first_line: int
    last_line: int
    n_characters: int
    excerpt: str


class DropCount(_Strict):
    reason: str
    places: int
    n_characters: int


class DuplicateInfo(_Strict):
    """A part that was left out because `of` came first and says the same."""

    source: str
    of: str


class SecretInfo(_Strict):
    """A kind of secret or personal data: how often, and where first. Never the value."""

    kind: str
    count: int
    places: tuple[str, ...]


class Bin(_Strict):
    """Documents of at least `from_bytes` and less than twice that."""

    from_bytes: int
    count: int


class PersonInfo(_Strict):
    """Pronouns of the narration, outside quotation marks."""

    person: Literal["first", "second", "third"] | None
    first: int
    second: int
    third: int


class CorpusInfo(_Strict):
    """Attributes:
    kind: what all documents are after compilation.
    hash: of all that is learnt: the same text in the same order gives the same hash, wherever
        its files lie. n_documents: stories and conversations; one that is split stands on both
        sides, and is counted once here.
    split_by: what was held out whole.
    """

    version: Literal[1] = 1
    kind: Kind
    hash: str
    n_documents: int
    heldout_share: float
    split_by: Literal["document", "scene", "part"]
    files: tuple[FileInfo, ...]
    train: SideInfo
    heldout: SideInfo
    cast: CastInfo | None
    speakers: tuple[SpeakerInfo, ...]
    person: PersonInfo
    languages: dict[str, float]
    lengths: tuple[Bin, ...]
    characters: dict[str, int]
    secrets: tuple[SecretInfo, ...]
    n_duplicates: int
    duplicates: tuple[DuplicateInfo, ...]
    dropped: tuple[DropCount, ...]
    drops: tuple[DropInfo, ...]
    n_faults: int
    faults: tuple[str, ...]
    notes: tuple[str, ...]

    def write(self, directory: Path) -> None:
        (directory / FILE_NAME).write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, directory: Path) -> CorpusInfo:
        return cls.model_validate_json((directory / FILE_NAME).read_text(encoding="utf-8"))

    @property
    def speakers_found(self) -> Speakers | None:
        """The names before the turns, where the corpus itself says them."""
        if self.cast is None:
            return None
        return Speakers(user=self.cast.you, assistant=self.cast.model)

    def summary(self) -> str:
        """One line for the terminal and the model card."""
        noun = "conversations" if self.kind in ("chat", "instruct") else f"{self.kind} documents"
        text = (
            f"{len(self.files)} file(s), {self.n_documents} {noun}: "
            f"{self.train.n_bytes / 1000:.0f} KB to train on, "
            f"{self.heldout.n_bytes / 1000:.0f} KB held out"
        )
        return text + (f", {self.n_duplicates} duplicate(s) dropped" if self.n_duplicates else "")
