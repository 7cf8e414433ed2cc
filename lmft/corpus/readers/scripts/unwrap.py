"""Speeches from lines: wrapped prose is joined, verse keeps its lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise
from math import ceil

# With longer or shorter lines a text is not wrapped: its line ends are meant.
_MIN_WIDTH, _MAX_WIDTH = 30, 100
_WIDE_LINES = 0.95
_FULL = 0.65
_VERSE_CAPITALS = 0.7
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
        verse = capitals > _VERSE_CAPITALS * len(following)
        text = lines[0]
        for before, line in pairwise(lines):
            full = len(before) >= _FULL * self._width
            # A lone word is what was left of a line, even in verse.
            left_over = " " not in line and before[-1] not in _PAUSES
            text += (" " if full and (left_over or not verse) else "\n") + line
        return text
