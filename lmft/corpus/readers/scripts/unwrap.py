"""Speeches from lines: wrapped prose is joined, verse keeps its lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise
from math import ceil

# With longer or shorter lines a text is not wrapped: its line ends are meant.
_MIN_WIDTH, _MAX_WIDTH = 30, 100
_WIDE_LINES = 0.95
_FULL = 0.65
_FITTING = 0.9
_MOSTLY = 0.5
_VERSE_CAPITALS = 0.7
# A speaker's name and the space about it, which stood before the first line.
_LABEL = 8
_PAUSES = ".,;:!?"


def has_long_lines(lines: Iterable[str]) -> bool:
    """Whether a line ends where a paragraph does, not where a column does."""
    return _width(lines) > _MAX_WIDTH


def _width(lines: Iterable[str]) -> int:
    lengths = sorted(len(line.strip()) for line in lines if line.strip())
    return lengths[ceil(_WIDE_LINES * (len(lengths) - 1))] if lengths else 0


class Unwrap:
    """Joins lines by the width of the text that they are from."""

    def __init__(self, lines: Iterable[str]) -> None:
        """`lines`: all of that text."""
        self._width = _width(lines)

    def __call__(self, lines: Sequence[str]) -> str:
        """One text; paragraphs, which an empty line parts, stay parted."""
        paragraphs = [
            self._paragraph([line.strip() for line in group])
            for filled, group in groupby(lines, key=lambda line: bool(line.strip()))
            if filled
        ]
        return "\n\n".join(paragraphs)

    def _paragraph(self, lines: list[str]) -> str:
        if not _MIN_WIDTH <= self._width <= _MAX_WIDTH:
            return "\n".join(lines)
        following = [line for line in lines[1:] if line[0].isalpha()]
        capitals = sum(not line[0].islower() for line in following)
        ends = [
            self._may_have_ended(before, line, room=0 if index else _LABEL)
            for index, (before, line) in enumerate(pairwise(lines))
        ]
        verse = capitals > _VERSE_CAPITALS * len(following)
        mostly_ended = sum(ends) > _MOSTLY * len(ends)
        text = lines[0]
        for (before, line), ended in zip(pairwise(lines), ends, strict=True):
            pauses = before[-1] in _PAUSES
            if " " not in line and not pauses:
                # A lone word is what was left of a line, even in verse.
                meant = False
            elif line[0].islower() or line.split(maxsplit=1)[0] == "I":
                meant = verse or (mostly_ended and pauses)
            else:
                meant = verse or mostly_ended or (ended and pauses)
            full = len(before) >= _FULL * self._width
            text += (" " if full and not meant else "\n") + line
        return text

    def _may_have_ended(self, before: str, line: str, *, room: int) -> bool:
        """Whether the line's first word would have had its place on the one before.

        `room` was taken there by what is not in it any more.
        """
        first_word = line.split(maxsplit=1)[0]
        return room + len(before) + 1 + len(first_word) <= _FITTING * self._width
