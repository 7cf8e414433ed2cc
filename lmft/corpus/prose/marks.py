"""Marks in brackets: illustrations, page numbers, transcribers' notes."""

from __future__ import annotations

import re
from bisect import bisect_right
from itertools import accumulate, pairwise
from typing import NamedTuple

from lmft.corpus.findings import Findings
from lmft.corpus.prose.line import Line
from lmft.corpus.prose.spans import Span, leave_out

_MAX_CHARACTERS = 4_000
# A text with more marks that never close has none.
_MAX_OPEN = 1_000
_ILLUSTRATION = "illustration"
_PAGE = "page number"
_NOTE = "transcriber's note"
_MARK = re.compile(
    r"\[[ \t*_]*(?:"
    r"(?P<illustration>(?:Illustrations?|ILLUSTRATIONS?|Frontispiece|FRONTISPIECE)(?=[\]:.,;\s])"
    r"|(?:Picture|Image):)"
    r"|(?P<page>(?:Pg|Page|PAGE|pg|page|p)\.? ?(?:\d{1,4}|[ivxlc]{1,8})[ \t]*\])"
    r"|(?i:(?:transcriber|redactor|preparer|proofreader)s?['’]?s?['’]?\s+notes?\b))"
)
_BRACKET = re.compile(r"[\[\]]")
_BRACED = re.compile(r"\{(?:[Pp](?:age|g\.?|\.) ?)?(\d{1,4})\}")
_MIN_PAGES = 3


class _Mark(NamedTuple):
    begin: int
    end: int
    reason: str


def drop_marks(name: str, lines: list[Line], findings: Findings) -> list[Line]:
    """The lines without them. A mark may stand inside a line and may go over several."""
    text = "\n".join([line.text for line in lines])
    found = sorted(_bracketed(text) + _braced(text))
    return _without(name, lines, text, found, findings) if found else lines


def _bracketed(text: str) -> list[_Mark]:
    found: list[_Mark] = []
    position = n_open = 0
    for mark in _MARK.finditer(text):
        if mark.start() < position:
            continue
        reason = _PAGE if mark["page"] else _ILLUSTRATION if mark["illustration"] else _NOTE
        end = _closing(text, mark.start())
        if end is None:
            n_open += 1
            if n_open > _MAX_OPEN:
                break
        else:
            found.append(_Mark(mark.start(), end, reason))
            position = end
    return found


def _closing(text: str, start: int) -> int | None:
    depth = 0
    for bracket in _BRACKET.finditer(text, start, start + _MAX_CHARACTERS):
        depth += 1 if bracket.group() == "[" else -1
        if not depth:
            return bracket.end()
    return None


def _braced(text: str) -> list[_Mark]:
    """`{12}` is a page only in a rising row of them."""
    marks = [(mark, int(mark[1])) for mark in _BRACED.finditer(text)] if "{" in text else []
    rising = sum(0 < after[1] - before[1] <= 3 for before, after in pairwise(marks))
    if len(marks) < _MIN_PAGES or rising < 0.8 * (len(marks) - 1):
        return []
    return [_Mark(mark.start(), mark.end(), _PAGE) for mark, _ in marks]


def _without(
    name: str, lines: list[Line], text: str, found: list[_Mark], findings: Findings
) -> list[Line]:
    starts = list(accumulate((len(line.text) + 1 for line in lines), initial=0))
    placed: list[tuple[_Mark, int, int]] = []
    for mark in found:
        first, last = bisect_right(starts, mark.begin) - 1, bisect_right(starts, mark.end - 1) - 1
        shown = text[mark.begin : mark.end]
        findings.drop(name, mark.reason, shown, lines[first].number, lines[last].number)
        placed.append((mark, first, last))
    edited = list(lines)
    emptied: list[Span] = []
    # From the last to the first: what is before a mark keeps its place.
    for mark, first, last in reversed(placed):
        before = edited[first].text[: mark.begin - starts[first]]
        after = edited[last].text[mark.end - starts[last] :]
        if first == last:
            edited[first] = lines[first]._replace(text=_glued(before, after))
        else:
            edited[first] = lines[first]._replace(text=before.rstrip())
            edited[last] = lines[last]._replace(text=after.lstrip())
        for index in range(last, first - 1, -1):
            if first < index < last or not edited[index].text.strip():
                emptied.append(Span(index, index + 1, mark.reason, mark.reason == _PAGE))
    return leave_out(edited, sorted(set(emptied)))


def _glued(before: str, after: str) -> str:
    """The line around a mark: of two spaces one is left, at a line's end none."""
    if not after.strip():
        return before.rstrip()
    if not before or before[-1].isspace():
        return before + after.lstrip()
    return before + after
