"""Printed pages to one text: running headers and page numbers out, paragraphs found again."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from lmft.corpus.findings import Findings
from lmft.corpus.prose.blocks import SENTENCE_ENDS, goes_on
from lmft.corpus.prose.line import Line

_MIN_PAGES = 3
# A page may have two lines of them at either end.
_ROUNDS = 2
_MAX_FURNITURE_CHARACTERS = 100
_WIDTH_PERCENTILE = 0.9
# Of the width: letters differ in width, so a full line may have fewer of them.
_ROOMY = 0.85
_FULL_PAGE = 0.8
_DOUBLE_SPACED = 0.9

_DIGITS = re.compile(r"\d{1,6}")
_LONE_NUMBER = re.compile(r"\W*(?:p(?:age|g?\.)\s*)?\d{1,5}(?:\s+of\s+\d+)?\W*", re.I)
_CHAPTER = re.compile(
    r"(?:chapter|part|book|canto|act|scene|letter|poem|story|section)\W+(?:\d+|[ivxlc]+)\b"
    r"|(?:prologue|epilogue|interlude|preface|foreword|afterword)\W*\Z",
    re.IGNORECASE,
)


class _Step(NamedTuple):
    """A line with a number that rises as the pages do: `offset` is the same on all of them."""

    mask: str
    which: int
    offset: int


def printed_lines(name: str, pages: Sequence[Sequence[str]], findings: Findings) -> list[Line]:
    """The lines of `pages`, each numbered by its page, with an empty line between paragraphs.

    A header or footer is the same line at the same end of three pages, but for a number that
    rises with them. A paragraph that runs over a page's end stays whole.
    """
    texts = [[line.strip() for line in page] for page in _without_double_spacing(pages)]
    for end in (0, -1):
        # Of the pages that had one line of them, the next may be another.
        having = list(enumerate(texts, 1))
        for _ in range(_ROUNDS):
            having = _drop_furniture(name, having, end, findings)
    return _with_paragraphs(texts)


def _without_double_spacing(pages: Sequence[Sequence[str]]) -> list[list[str]]:
    n_lines = sum(len(page) for page in pages)
    n_text = sum(1 for page in pages for line in page if line.strip())
    if n_lines - n_text < _DOUBLE_SPACED * n_text:
        return [list(page) for page in pages]
    return [[line for line in page if line.strip()] for page in pages]


def _drop_furniture(
    name: str, pages: list[tuple[int, list[str]]], end: int, findings: Findings
) -> list[tuple[int, list[str]]]:
    """Drop a line at an end of numbered pages; gives the pages that had one."""
    steps: Counter[_Step] = Counter()
    at_end: Counter[str] = Counter()
    anywhere = Counter(line.casefold() for _, page in pages for line in page)
    for number, page in pages:
        while page and not page[end]:
            page.pop(end)
        if page and len(page[end]) <= _MAX_FURNITURE_CHARACTERS:
            steps.update(_steps(page[end], number))
            at_end[page[end].casefold()] += 1
    having: list[tuple[int, list[str]]] = []
    headings: set[str] = set()
    for number, page in pages:
        line = page[end] if page else ""
        key = line.casefold()
        if _rises(line, number, steps, len(pages)):
            reason = "page number" if _LONE_NUMBER.fullmatch(line) else "running header"
        elif _repeats(line, at_end[key], anywhere[key] - at_end[key]):
            reason = "running header"
            if _CHAPTER.match(line) and key not in headings:
                # The first one stands where the chapter begins.
                headings.add(key)
                continue
        else:
            continue
        findings.drop(name, reason, page.pop(end), number, number)
        having.append((number, page))
    return having


def _repeats(line: str, n_at_end: int, n_elsewhere: int) -> bool:
    """A speaker's name, too, stands on top of pages, but as often anywhere on them."""
    return (
        n_at_end >= _MIN_PAGES
        and line[-1] not in SENTENCE_ENDS
        and n_elsewhere * _MIN_PAGES <= n_at_end
    )


def _steps(line: str, page: int) -> list[_Step]:
    mask = _DIGITS.sub("#", line.casefold())
    numbers = [int(digits) for digits in _DIGITS.findall(line)]
    return [_Step(mask, which, number - page) for which, number in enumerate(numbers)]


def _rises(line: str, page: int, steps: Counter[_Step], n_pages: int) -> bool:
    lone = _LONE_NUMBER.fullmatch(line) is not None
    if not lone and _CHAPTER.match(line):
        return False
    for step in _steps(line, page):
        if steps[step] >= _MIN_PAGES or (lone and n_pages < _MIN_PAGES and step.offset == 0):
            return True
    return False


def _with_paragraphs(pages: list[list[str]]) -> list[Line]:
    lengths = sorted(len(line) for page in pages for line in page if line)
    width = lengths[int(_WIDTH_PERCENTILE * (len(lengths) - 1))] if lengths else 0
    full_page = _FULL_PAGE * max((len(page) for page in pages), default=0)
    lines: list[Line] = []
    short_page = False
    for number, page in enumerate(pages, 1):
        for text in page:
            if lines and _parts(lines, text, width, after_short_page=short_page):
                lines.append(Line(number, ""))
            if text or (lines and lines[-1].text):
                lines.append(Line(number, text))
            short_page = False
        short_page = short_page or (bool(page) and len(page) < full_page)
    return lines


def _parts(lines: list[Line], text: str, width: int, *, after_short_page: bool) -> bool:
    """Whether a paragraph ends between the last of `lines` and `text`."""
    before = lines[-1].text
    if not before or not text or goes_on(before, text) or text[0].islower():
        return False
    if _CHAPTER.match(text) and len(text) < width / 2:
        return True
    roomy = len(before) + 1 + len(text.split(maxsplit=1)[0]) <= _ROOMY * width
    if before[-1] in SENTENCE_ENDS:
        return roomy or after_short_page
    # Alone between two paragraphs, and no sentence: a heading.
    alone = len(lines) < 2 or not lines[-2].text
    return roomy and alone and (after_short_page or len(text) >= _ROOMY * width)
