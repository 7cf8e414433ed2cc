"""A graph of passages and choices, told as transcripts.

Every choice is taken once, and every passage is learnt once: where it is told again it is
context. A walk goes on with the first unused choice, one that leads to a new
passage before one that leads back, and ends where there is none; the others start again at the
passage that offers them, with that passage's text only (AI Dungeon's rule), so that no beginning
is told once for each ending.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from lmft.corpus.documents import Document
from lmft.corpus.findings import Findings

MAX_DOCUMENTS = 100_000
MAX_RETOLD_CHARACTERS = 64 << 20


class Choice(NamedTuple):
    """`action` is the line the player's action becomes; empty to go on without one."""

    action: str
    target: str


class Passage(NamedTuple):
    """Attributes:
    line: where it stands in its file, from 1; 0 where there are no lines.
    inline: it goes on in the line before it, where no action comes between.
    """

    text: str
    choices: tuple[Choice, ...] = ()
    line: int = 0
    inline: bool = False


def tell(
    passages: Mapping[str, Passage], starts: Sequence[str], source: str, findings: Findings
) -> Iterator[Document]:
    """The transcripts of one story, from its start `starts[0]` and then its other ways in.

    Each is a story of its own. One that ends at a passage without choices `ends`; one that ends
    because every choice there was taken, or led nowhere, does not. Choices without a target and
    passages that nothing leads to are dropped.
    """
    yield from _Telling(passages, source, findings).walk(starts)


class _Piece(NamedTuple):
    text: str
    is_retold: bool = False


def _retold(pieces: Sequence[_Piece]) -> tuple[tuple[int, int], ...]:
    ends = itertools.accumulate(len(piece.text) for piece in pieces)
    return tuple(
        (end - len(piece.text), end)
        for piece, end in zip(pieces, ends, strict=True)
        if piece.is_retold and piece.text
    )


class _Unused(NamedTuple):
    """A passage's choices that were not taken yet; `back` lead to what has been told."""

    onward: deque[Choice]
    back: deque[Choice]


@dataclass
class _Telling:
    passages: Mapping[str, Passage]
    source: str
    findings: Findings
    unused: dict[str, _Unused] = field(default_factory=dict)
    retold: int = 0

    def walk(self, starts: Sequence[str]) -> Iterator[Document]:
        number = 0
        for start in starts:
            if start in self.unused or start not in self.passages:
                continue
            # A path may be 100,000 passages long: a stack of its own, not Python's.
            offering = [start]
            while offering:
                told = offering[-1] in self.unused
                choice = self._next_choice(offering[-1]) if told else None
                if told and choice is None:
                    offering.pop()
                    continue
                if number == MAX_DOCUMENTS:
                    note = f"{self.source}: told {number:,} ways through it; the rest is left out"
                    self.findings.note(note)
                    return
                if document := self._transcript(choice, offering):
                    number += 1
                    yield document
        self._drop_the_rest()

    def _transcript(self, choice: Choice | None, offering: list[str]) -> Document | None:
        """One way from `offering[-1]` on, first by `choice`; it leaves its passages there."""
        first = self.passages[offering[-1]]
        pieces = [self._piece(offering[-1])]
        choice = choice or self._next_choice(offering[-1])
        while choice is not None:
            inline = self.passages[choice.target].inline and not choice.action
            if not inline and pieces[-1].text and not pieces[-1].text.endswith("\n"):
                pieces.append(_Piece("\n"))
            if choice.action:
                pieces.append(_Piece(f"> {choice.action}\n"))
            pieces.append(self._piece(choice.target))
            offering.append(choice.target)
            choice = self._next_choice(choice.target)
        while pieces and not pieces[-1].text.strip("\n"):
            pieces.pop()
        if not pieces:
            return None
        ends = not self.passages[offering[-1]].choices
        return Document(
            source=f"{self.source}:{first.line}" if first.line else self.source,
            kind="adventure",
            text="".join(piece.text for piece in pieces),
            ends=ends,
            retold=_retold(pieces),
        )

    def _piece(self, key: str) -> _Piece:
        """The passage's text; empty when too much has been told twice already."""
        text = self.passages[key].text.strip()
        if key not in self.unused:
            self.unused[key] = _Unused(deque(self._sound_choices(self.passages[key])), deque())
            return _Piece(text)
        if self.retold + len(text) > MAX_RETOLD_CHARACTERS:
            self.findings.note(
                f"{self.source}: its choices lead to the same passages so often that these are "
                f"not told again after {MAX_RETOLD_CHARACTERS >> 20} million characters"
            )
            return _Piece("")
        self.retold += len(text)
        return _Piece(text, is_retold=True)

    def _next_choice(self, key: str) -> Choice | None:
        unused = self.unused[key]
        while unused.onward:
            choice = unused.onward.popleft()
            if choice.target not in self.unused:
                return choice
            unused.back.append(choice)
        return unused.back.popleft() if unused.back else None

    def _sound_choices(self, passage: Passage) -> list[Choice]:
        sound = []
        for choice in passage.choices:
            if choice.target in self.passages:
                sound.append(choice)
            else:
                reason = "choice whose passage is not in the file"
                self.findings.drop(self.source, reason, choice.action, passage.line, passage.line)
        return sound

    def _drop_the_rest(self) -> None:
        for key, passage in self.passages.items():
            if key not in self.unused:
                reason = "passage that nothing leads to"
                self.findings.drop(self.source, reason, passage.text, passage.line, passage.line)
