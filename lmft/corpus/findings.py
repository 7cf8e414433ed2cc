"""What the compiler found on its way: faults, what it dropped, what it changed.

Nothing here is written to a log; the lists go to the report, and faults to the person who
started the compiler. What is kept is capped, what is counted is exact.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import islice

from lmft.corpus.survey.secrets import mask_secrets

MAX_FAULTS_KEPT = 100
MAX_FAULTS_OF_A_FILE = 40
MAX_DROPS_KEPT = 2_000
MAX_NOTES_KEPT = 200
_EXCERPT_CHARACTERS = 60
# An excerpt is made of so much: what is known as a secret only by its end has it in here.
_SEEN_CHARACTERS = 1_000


@dataclass(frozen=True)
class Fault:
    """Bad input: it never reaches training."""

    file: str
    message: str
    line: int | None = None
    byte: int | None = None

    def __str__(self) -> str:
        if self.line is not None:
            return f"{self.file}:{self.line}: {self.message}"
        if self.byte is not None:
            return f"{self.file}: byte {self.byte}: {self.message}"
        return f"{self.file}: {self.message}"


@dataclass(frozen=True)
class Drop:
    """Something that was left out on purpose: where it was and why.

    Attributes:
        reason: a short name of the rule, the same for all that it dropped (`page number`).
        first_line, last_line: in the file, from 1, both included; 0 where there are no lines.
        excerpt: how it began, secrets masked.
    """

    file: str
    reason: str
    first_line: int
    last_line: int
    n_characters: int
    excerpt: str


@dataclass
class Findings:
    """One for a whole compilation; every stage adds to it."""

    faults: list[Fault] = field(default_factory=list)
    n_faults: int = 0
    drops: list[Drop] = field(default_factory=list)
    dropped_characters: Counter[str] = field(default_factory=Counter)
    dropped_places: Counter[str] = field(default_factory=Counter)
    _faults_of: Counter[str] = field(init=False, default_factory=Counter)
    _notes: dict[str, None] = field(init=False, default_factory=dict)

    @property
    def notes(self) -> list[str]:
        """The first MAX_NOTES_KEPT of what was changed or assumed, and how many more there are."""
        more = len(self._notes) - MAX_NOTES_KEPT
        kept = list(islice(self._notes, MAX_NOTES_KEPT))
        return [*kept, f"... and {more} more"] if more > 0 else kept

    def fault(
        self, file: str, message: str, *, line: int | None = None, byte: int | None = None
    ) -> None:
        """One row, line or file that cannot be used. Say what is wrong and what would be right."""
        self.n_faults += 1
        self._faults_of[file] += 1
        # One broken file must not hide the others.
        if len(self.faults) < MAX_FAULTS_KEPT and self._faults_of[file] <= MAX_FAULTS_OF_A_FILE:
            self.faults.append(Fault(file, message, line, byte))

    def drop(self, file: str, reason: str, text: str, first_line: int, last_line: int) -> None:
        """`text` was left out on purpose."""
        self.dropped_characters[reason] += len(text)
        self.dropped_places[reason] += 1
        if len(self.drops) < MAX_DROPS_KEPT:
            shown = mask_secrets(text[:_SEEN_CHARACTERS])[: 4 * _EXCERPT_CHARACTERS]
            excerpt = " ".join(shown.split())[:_EXCERPT_CHARACTERS]
            self.drops.append(Drop(file, reason, first_line, last_line, len(text), excerpt))

    def note(self, message: str) -> None:
        """One line on what was changed or assumed; the same line is kept once."""
        self._notes.setdefault(message)
