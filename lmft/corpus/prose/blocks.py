"""Lines to blocks: what stands between blank lines."""

from __future__ import annotations

from typing import NamedTuple

from lmft.corpus.prose.line import Line

SENTENCE_ENDS = frozenset(".!?:…。！？」』\"”»’'")


class Block(NamedTuple):
    """Attributes:
    gap: number of blank lines before it.
    start: index of its first line in the list that it was made from.
    lines: at least one, none of them blank.
    """

    gap: int
    start: int
    lines: list[Line]


def to_blocks(lines: list[Line], gap: int = 0) -> tuple[list[Block], int]:
    """The blocks, and the number of blank lines after the last one.

    `gap` blank lines stood before the first line.
    """
    blocks: list[Block] = []
    current: list[Line] = []
    for index, line in enumerate(lines):
        if line.text and not line.text.isspace():
            if not current:
                blocks.append(Block(gap, index, current))
            current.append(line)
        elif current:
            current = []
            gap = 1
        else:
            gap += 1
    return blocks, (0 if current else gap)


def goes_on(before: str, after: str) -> bool:
    """Whether a sentence runs from the one line to the other."""
    before, after = before.rstrip(), after.lstrip()
    return bool(before and after) and (after[0].islower() and before[-1] not in SENTENCE_ENDS)
