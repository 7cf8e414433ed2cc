"""Project Gutenberg's headers and footers of all eras, and its notices in mid-text."""

from __future__ import annotations

import re

from lmft.corpus.prose.line import Line
from lmft.corpus.prose.spans import Span, lines_with

_TOP_LINES = 60
_HEADER_LINES = 1_500
_FOOTER_LINES = 900
_AFTER_SMALL_PRINT_LINES = 200
_NOTICE_LINES = 20

_START = re.compile(r"\W*START\s+OF\s+(?:THE|THIS)\s+PROJECT\s+GUTENBERG", re.I)
_END = re.compile(
    r"\W*(?:THE\s+)?END\s+OF\s+(?:THE\s+|THIS\s+)?PROJECT\s+GUTENBERG"
    r"(?:['’]S\b|\W+E-?(?:TEXT|BOOK)|\W+EDITION|\W*$)"
    r"|\W*THE FULL PROJECT GUTENBERG(?:-TM|™)? LICEN[SC]E",
    re.I,
)
_SMALL_START = re.compile(r"\W*START\W*THE SMALL PRINT")
_SMALL_END = re.compile(r"\W*END\W*THE SMALL PRINT")
_MENTION = re.compile(r"Project Gutenberg|\be-?texts?\b", re.I)
_ADDRESS = re.compile(r"\be-?mail\b|\w@\w", re.I)
_SIGNATURE = re.compile(r"\s*[A-Z][a-z]+(?: [A-Z]\.?)? [A-Z][a-z]+\s*")
_HEADER_OPENING = re.compile(
    r"\W*(?:the )?project gutenberg(?:['’]s)? (?:e-?book|e-?text|[\w '’]+, by )"
    r"|\W*project gutenberg['’]s ",
    re.I,
)
_HEADER_FIELD = re.compile(
    r"\s*(?:Title|Author|Translator|Illustrator|Editor|Release Date|Posting Date|Last Updated"
    r"|Most recently updated|Language|Character set encoding|Original publication|Credits)\s*:"
    r"|\s*This e-?book is for the use of anyone anywhere\b"
    r"|.*\bproject gutenberg\b",
    re.I,
)


def licence_spans(lines: list[Line], *, first: bool, last: bool) -> list[Span]:
    """Where they stand. A footer may be followed by the next book's header."""
    mentions = lines_with(lines, ("Gutenberg", "GUTENBERG", "SMALL PRINT", "<<THIS ELECTRONIC"))
    spans = [_notice(lines, index) for index in mentions]
    found = [span for span in spans if span is not None]
    begin = 0
    if first and (header := _header(lines, mentions)) is not None:
        found.append(header)
        begin = header.end
    elif first:
        found += _header_without_end(lines)
    return found + _footers(lines, [index for index in mentions if index >= begin], last=last)


def _header(lines: list[Line], mentions: list[int]) -> Span | None:
    near = [index for index in mentions if index < _HEADER_LINES]
    starts = [index for index in near if _START.match(lines[index].text)]
    small = [index for index in near if _SMALL_END.match(lines[index].text)]
    ends = [index for index in near if _END.match(lines[index].text)]
    limit = ends[0] if ends else len(lines)
    starts = [index for index in starts if index < limit]
    small = [index for index in small if index < limit]
    # Where nothing names the project at the top, what comes before the mark is another text, or
    # the small print of an old file that has it behind the text.
    if not (starts or small) or mentions[0] > _TOP_LINES:
        return None
    if starts and (not small or starts[-1] > small[-1]):
        return Span(0, _closing_stars(lines, starts[-1]) + 1, "licence")
    return Span(0, _after_small_print(lines, small[-1] + 1, limit), "licence")


def _closing_stars(lines: list[Line], index: int) -> int:
    """The start marker may be broken over lines; it ends with stars."""
    for end in range(index, min(index + 5, len(lines))):
        if lines[end].text.rstrip().endswith("***"):
            return end
    return index


def _after_small_print(lines: list[Line], begin: int, limit: int) -> int:
    """Old files go on about themselves: to the end of the last paragraph that names the etext."""
    end = begin
    for index in range(begin, min(begin + _AFTER_SMALL_PRINT_LINES, limit, len(lines))):
        if _MENTION.search(lines[index].text):
            end = index + 1
    if end == begin:
        return begin
    while end < limit and end < len(lines) and lines[end].text.strip():
        end += 1
    # A volunteer's letter has a signature under it.
    paragraph = end - 1
    while paragraph > begin and lines[paragraph - 1].text.strip():
        paragraph -= 1
    signature = end
    while signature < len(lines) and not lines[signature].text.strip():
        signature += 1
    letter = " ".join(line.text for line in lines[paragraph:end])
    if (
        signature < min(limit, len(lines))
        and _ADDRESS.search(letter)
        and _SIGNATURE.fullmatch(lines[signature].text)
    ):
        return signature + 1
    return end


def _header_without_end(lines: list[Line]) -> list[Span]:
    """A header that was cut: its known lines only."""
    opening = next((i for i, line in enumerate(lines[:10]) if line.text.strip()), None)
    if opening is None or not _HEADER_OPENING.match(lines[opening].text):
        return []
    spans: list[Span] = []
    index, end = opening, min(len(lines), opening + 60)
    while index < end:
        if not _HEADER_FIELD.match(lines[index].text):
            index += 1
            continue
        begin = index
        while index < len(lines) and lines[index].text.strip() and index < begin + 8:
            index += 1
        spans.append(Span(begin, index, "licence"))
    return spans


def _footers(lines: list[Line], mentions: list[int], *, last: bool) -> list[Span]:
    spans: list[Span] = []
    end_mark: int | None = None
    small_print: int | None = None
    for index in mentions:
        text = lines[index].text
        if _SMALL_START.match(text):
            small_print = index
        if end_mark is None and _END.match(text):
            end_mark = index
        elif _START.match(text):
            near = end_mark is not None and index - end_mark <= _FOOTER_LINES
            begin = end_mark if end_mark is not None and near else index
            spans.append(Span(begin, _closing_stars(lines, index) + 1, "licence"))
            end_mark = None
        elif small_print is not None and _SMALL_END.match(text):
            if index - small_print <= _FOOTER_LINES:
                spans.append(Span(small_print, index + 1, "licence"))
            small_print = None
    if end_mark is not None:
        near = last and len(lines) - end_mark <= _FOOTER_LINES
        spans.append(Span(end_mark, len(lines) if near else end_mark + 1, "licence"))
    return spans


def _notice(lines: list[Line], index: int) -> Span | None:
    """`<<THIS ELECTRONIC VERSION ... >>`, which stands between the plays of old collections."""
    if "<<THIS ELECTRONIC" in lines[index].text:
        for end in range(index, min(index + _NOTICE_LINES, len(lines))):
            if ">>" in lines[end].text:
                return Span(index, end + 1, "licence")
    return None
