"""Page numbers on lines of their own, and the running headers that stand beside them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import accumulate, chain, pairwise
from typing import NamedTuple

from lmft.corpus.prose.blocks import SENTENCE_ENDS
from lmft.corpus.prose.line import Line
from lmft.corpus.prose.spans import Span

_MIN_PAGES = 3
_MAX_STEP = 3
_MAX_PAGE_CHARACTERS = 8_000
_MAX_HEADER_CHARACTERS = 80
# Of a text's long lines, or at least this many characters: a page's last line was full.
_FULL_LINE = 0.6
_SURELY_FULL = 40
_LONG_LINES = 0.95
# Pages are of one length, within these bounds of the middle one, and nearly all of them.
_SHORTEST_PAGE, _LONGEST_PAGE = 0.5, 1.5
_REGULAR = 0.8
_NUMBER = re.compile(
    r"\s*(?P<mark>[-–—~\[(]+ ?|[Pp](?:age|AGE|g\.?|\.) ?)?(?P<number>\d{1,4})(?: ?[-–—~\])]+)?"
)
_TITLED = re.compile(
    r"\s*(?:(?P<before>\d{1,4})\s+(?P<title>[^\W\d].{2,60})"
    r"|(?P<titled>[^\W\d].{2,60}?)[\s.|]+(?P<after>\d{1,4}))"
)


class _Page(NamedTuple):
    line: int
    number: int
    title: str
    marked: bool


def page_spans(lines: list[Line]) -> list[Span]:
    """Where they stand: rising numbers, at least three, between blank lines.

    Chapters, days and what is left of the gold have numbers that rise, too. Pages are told from
    them by the sentences that they cut in two after a full line, or, where a number stands
    alone, by beginning somewhere above the first while lying a page apart. In doubt it stays.
    """
    candidates = list(_candidates(lines))
    if len(candidates) < _MIN_PAGES:
        return []
    offsets = list(accumulate((len(line.text) + 1 for line in lines), initial=0))
    by_title: dict[str, list[_Page]] = {}
    for page in candidates:
        by_title.setdefault(page.title, []).append(page)
    full = _full_line(lines)
    spans: list[Span] = []
    for row in chain.from_iterable(map(_rows, by_title.values())):
        if _are_pages(lines, row, offsets, full):
            reason = "running header" if row[0].title else "page number"
            spans += [Span(page.line, page.line + 1, reason, mends=True) for page in row]
            spans += _headers(lines, row)
    return spans


def _full_line(lines: list[Line]) -> float:
    """From how many characters on a line may be one that was broken, not one that ended."""
    lengths = sorted(len(line.text) for line in lines if line.text.strip())
    return min(_SURELY_FULL, _FULL_LINE * lengths[int(_LONG_LINES * (len(lengths) - 1))])


def _candidates(lines: list[Line]) -> Iterator[_Page]:
    last = len(lines) - 1
    for index, (_, text, heading) in enumerate(lines):
        if not text or len(text) > _MAX_HEADER_CHARACTERS or heading:
            continue
        if not (text[-1].isdigit() or text[0].isdigit() or len(text) <= 16):
            continue
        if (index and lines[index - 1].text.strip()) or (
            index < last and lines[index + 1].text.strip()
        ):
            continue
        if alone := _NUMBER.fullmatch(text):
            yield _Page(index, int(alone["number"]), "", bool(alone["mark"]))
        elif titled := _TITLED.fullmatch(text):
            title = (titled["title"] or titled["titled"]).strip(" .|-–—")
            # `gold coins 10`: a running header is a title.
            if not title[:1].islower():
                number = int(titled["before"] or titled["after"])
                yield _Page(index, number, title.casefold(), True)


def _rows(pages: list[_Page]) -> list[list[_Page]]:
    rows: list[list[_Page]] = []
    for page in pages:
        if rows and 0 < page.number - rows[-1][-1].number <= _MAX_STEP:
            rows[-1].append(page)
        else:
            rows.append([page])
    return [row for row in rows if len(row) >= _MIN_PAGES]


def _are_pages(lines: list[Line], row: list[_Page], offsets: list[int], full: float) -> bool:
    cutting = sum(_interrupts(lines, page.line, full) for page in row) * 4 >= len(row)
    if cutting and not row[0].title:
        return True
    late = not row[0].title and row[0].number > (1 if row[0].marked else 3)
    return (cutting or late) and _are_regular(row, offsets)


def _are_regular(row: list[_Page], offsets: list[int]) -> bool:
    """Whether the same amount of text lies between each two of them, as much as a page holds."""
    lengths = sorted(
        (offsets[after.line] - offsets[before.line]) / (after.number - before.number)
        for before, after in pairwise(row)
    )
    middle = lengths[len(lengths) // 2]
    regular = sum(_SHORTEST_PAGE * middle <= one <= _LONGEST_PAGE * middle for one in lengths)
    return middle <= _MAX_PAGE_CHARACTERS and regular >= _REGULAR * len(lengths)


def _interrupts(lines: list[Line], index: int, full: float) -> bool:
    """Whether the text before the line stops in mid-sentence and goes on after it."""
    before = _neighbour(lines, index, -1)
    after = _neighbour(lines, index, 1)
    if before is None or after is None:
        return False
    text = lines[before].text.strip()
    return (
        len(text) >= full
        and text[-1] not in SENTENCE_ENDS
        and lines[after].text.lstrip()[0].islower()
    )


def _neighbour(lines: list[Line], index: int, step: int) -> int | None:
    """The next line that is not blank."""
    index += step
    while 0 <= index < len(lines):
        if lines[index].text.strip():
            return index
        index += step
    return None


def _headers(lines: list[Line], row: list[_Page]) -> list[Span]:
    """Titles that stand beside at least three of the page numbers."""
    beside: dict[int, str] = {}
    for page in row:
        for step in (-1, 1):
            index = _neighbour(lines, page.line, step)
            if index is not None and _may_be_title(text := lines[index].text.strip()):
                beside[index] = text.casefold()
    counts = Counter(beside.values())
    return [
        Span(index, index + 1, "running header", mends=True)
        for index, text in sorted(beside.items())
        if counts[text] >= _MIN_PAGES and counts[text] * 3 >= len(row)
    ]


def _may_be_title(text: str) -> bool:
    return (
        len(text) <= _MAX_HEADER_CHARACTERS
        and not text[0].islower()
        and text[-1] not in SENTENCE_ENDS
    )
