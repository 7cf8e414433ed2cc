"""Blocks of lines to paragraphs: wrapped lines joined, verse, dialogue and lists left alone."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

from lmft.corpus.prose.blocks import Block
from lmft.corpus.prose.hyphens import Words, before_joint
from lmft.corpus.prose.joints import find_joints
from lmft.corpus.prose.line import Line
from lmft.corpus.prose.wrapping import FIRST_CJK, Layout

_DEAR_ENDS = frozenset("-‐—\u00ad")
_MARKDOWN_HEADING = re.compile(r"(#{1,6})[ \t]+(?=[^\s#])")


class Paragraph(NamedTuple):
    """Attributes:
    gap: number of blank lines before it; 0 for a line right under the one before.
    heading: 1 to 6 where markup says so, else 0.
    """

    number: int
    text: str
    gap: int
    heading: int = 0


def unwrap(blocks: Iterable[Block], layout: Layout | None, words: Words) -> list[Paragraph]:
    """The paragraphs of `blocks`; without a layout every line is one."""
    paragraphs: list[Paragraph] = []
    for gap, _, lines in blocks:
        if len(lines) == 1 or layout is None:
            for line in lines:
                paragraphs.append(_single(line, gap, keep_indentation=layout is None))
                gap = 0
        else:
            for run in _runs(lines):
                paragraphs += _joined(run, gap, layout, words)
                gap = 0
    return paragraphs


def _single(line: Line, gap: int, *, keep_indentation: bool) -> Paragraph:
    number, text, heading = line
    if text[0] == "#" and (marks := _MARKDOWN_HEADING.match(text)):
        title, closing = text[marks.end() :], text.rstrip("#")
        if closing[-1].isspace():
            title = closing[marks.end() :].rstrip()
        return Paragraph(number, title, gap, heading or len(marks[1]))
    return Paragraph(number, text if keep_indentation else text.lstrip(), gap, heading)


def _runs(lines: list[Line]) -> list[list[Line]]:
    """A heading is a run of its own."""
    headings = [
        index
        for index, (_, text, heading) in enumerate(lines)
        if heading or (text[0] == "#" and _MARKDOWN_HEADING.match(text))
    ]
    edges = sorted({0, len(lines), *headings, *(index + 1 for index in headings)})
    return [lines[begin:end] for begin, end in pairwise(edges)]


def _joined(lines: list[Line], gap: int, layout: Layout, words: Words) -> list[Paragraph]:
    if len(lines) == 1:
        return [_single(lines[0], gap, keep_indentation=False)]
    texts = [line.text for line in lines]
    joints = find_joints(texts, layout)
    # One line that was joined does not make prose of verse: only prose loses its indentation.
    if 2 * sum(joints) < len(joints) or not any(joints):
        margin = _common_indentation(texts)
        texts = [text[margin:] for text in texts]
    else:
        texts = [text.lstrip() for text in texts]
    if all(joints) and _may_be_spaced(texts):
        return [Paragraph(lines[0].number, " ".join(texts), gap)]
    paragraphs: list[Paragraph] = []
    number, pieces, held = lines[0].number, [], texts[0]
    for line, text, joins in zip(lines[1:], texts[1:], joints, strict=True):
        if joins:
            text = text.lstrip()
            pieces.append(before_joint(held, text, words))
        else:
            paragraphs.append(Paragraph(number, "".join((*pieces, held)), gap))
            number, gap, pieces = line.number, 0, []
        held = text
    return [*paragraphs, Paragraph(number, "".join((*pieces, held)), gap)]


def _may_be_spaced(texts: list[str]) -> bool:
    """No line ends with a dash or hyphen, and all are of a script that has spaces."""
    ends = [text[-1] for text in texts]
    return _DEAR_ENDS.isdisjoint(ends) and max(ends) < FIRST_CJK


def _common_indentation(texts: list[str]) -> int:
    margins = [text[: len(text) - len(text.lstrip())] for text in texts]
    # What the first and the last in order have in common, all have.
    low, high = min(margins), max(margins)
    differing = (
        index for index, pair in enumerate(zip(low, high, strict=False)) if len(set(pair)) > 1
    )
    return next(differing, len(low))
