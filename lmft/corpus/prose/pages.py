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

    A chapter's number looks the same. Pages are told from chapters by the sentences that they
    cut in two, or by beginning somewhere above the first while lying a page apart.
    """
    candidates = list(_candidates(lines))
    if len(candidates) < _MIN_PAGES:
        return []
    offsets = list(accumulate((len(line.text) + 1 for line in lines), initial=0))
    by_title: dict[str, list[_Page]] = {}
    for page in candidates:
        by_title.setdefault(page.title, []).append(page)
    spans: list[Span] = []
    for row in chain.from_iterable(map(_rows, by_title.values())):
        if _are_pages(lines, row, offsets):
            reason = "running header" if row[0].title else "page number"
            spans += [Span(page.line, page.line + 1, reason, mends=True) for page in row]
            spans += _headers(lines, row)
    return spans


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
            title = (titled["title"] or titled["titled"]).casefold().strip(" .|-–—")
            yield _Page(index, int(titled["before"] or titled["after"]), title, True)


def _rows(pages: list[_Page]) -> list[list[_Page]]:
    rows: list[list[_Page]] = []
    for page in pages:
        if rows and 0 < page.number - rows[-1][-1].number <= _MAX_STEP:
            rows[-1].append(page)
        else:
            rows.append([page])
    return [row for row in rows if len(row) >= _MIN_PAGES]


def _are_pages(lines: list[Line], row: list[_Page], offsets: list[int]) -> bool:
    if sum(_interrupts(lines, page.line) for page in row) * 4 >= len(row):
        return True
    places = [offsets[page.line] for page in row]
    lengths = sorted(after - before for before, after in pairwise(places))
    near = lengths[len(lengths) // 2] <= _MAX_PAGE_CHARACTERS
    return near and not row[0].title and row[0].number > (1 if row[0].marked else 3)


def _interrupts(lines: list[Line], index: int) -> bool:
    """Whether the text before the line stops in mid-sentence and goes on after it."""
    before = _neighbour(lines, index, -1)
    after = _neighbour(lines, index, 1)
    if before is None or after is None:
        return False
    ended = lines[before].text.rstrip()[-1] in SENTENCE_ENDS
    return not ended and lines[after].text.lstrip()[0].islower()


def _neighbour(lines: list[Line], index: int, step: int) -> int | None:
    """The next line that is not blank."""
    index += step
    while 0 <= index < len(lines):
        if lines[index].text.strip():
            return index
        index += step
    return None


def _headers(lines: list[Line], row: list[_Page]) -> list[Span]:
    """Lines that stand beside at least three of the page numbers."""
    beside: list[tuple[int, str]] = []
    for page in row:
        for step in (-1, 1):
            index = _neighbour(lines, page.line, step)
            if index is not None and len(lines[index].text) <= _MAX_HEADER_CHARACTERS:
                beside.append((index, lines[index].text.strip().casefold()))
    counts = Counter(text for _, text in beside)
    return [
        Span(index, index + 1, "running header", mends=True)
        for index, text in sorted(set(beside))
        if counts[text] >= _MIN_PAGES and counts[text] * 3 >= len(row)
    ]
