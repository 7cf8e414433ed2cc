"""Exchanges between two people, found in narration: who says what."""

from __future__ import annotations

import re
from collections.abc import Iterator

# (name, words) each.
Exchange = list[tuple[str, str]]

_VERBS = (
    "said|asked|cried|replied|answered|exclaimed|returned|shouted|whispered|added|remarked|"
    "observed|inquired|continued|demanded|growled|muttered|called|repeated|laughed"
)
_NAME = r"(?:the |old |little )?[A-Z][a-z]+(?: [A-Z][a-z]+)?"
_SPOKEN = re.compile(
    rf"^[\"“](?P<words>[^\"“”]+)[\"”],? (?:(?:{_VERBS}) (?P<after>{_NAME})"
    rf"|(?P<before>{_NAME}) (?:{_VERBS}))\b[^\"“”]{{0,80}}(?:[\"“](?P<more>[^\"“”]+)[\"”])?\s*$"
)
_BARE = re.compile(r"^[\"“](?P<words>[^\"“”]+)[\"”]\s*$")
_MIN_LINES = 4
_NO_NAMES = frozenset(
    {"He", "She", "They", "It", "We", "You", "And", "But", "The", "There", "Then"}
)


def exchanges(text: str) -> Iterator[Exchange]:
    """Every exchange in which the speakers are known: four lines at least, of two people or more.

    A line without a speaker, between two people who take turns, is the other one's.
    """
    lines: Exchange = []
    for paragraph in text.split("\n"):
        turn = _turn(paragraph.strip(), lines)
        if turn is not None:
            lines.append(turn)
            continue
        yield from _whole(lines)
        lines = []
    yield from _whole(lines)


def as_lines(exchange: Exchange) -> str:
    """As chats and scripts are written: `Name: words`."""
    return "\n".join(f"{name}: {words}" for name, words in exchange)


def _turn(paragraph: str, before: Exchange) -> tuple[str, str] | None:
    if spoken := _SPOKEN.match(paragraph):
        name = (spoken["after"] or spoken["before"]).removeprefix("the ")
        if name.split()[0] in _NO_NAMES:
            return None
        words = spoken["words"].rstrip(",")
        return name, f"{words} {spoken['more']}" if spoken["more"] else words
    bare = _BARE.match(paragraph)
    if bare and len(before) >= 2 and before[-1][0] != before[-2][0]:
        return before[-2][0], bare["words"]
    return None


def _whole(lines: Exchange) -> Iterator[Exchange]:
    if len(lines) >= _MIN_LINES and len({name for name, _ in lines}) > 1:
        yield lines
