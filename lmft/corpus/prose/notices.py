"""Notices before and behind a text: copyright pages, archives, credits, editors' notes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from lmft.corpus.prose.blocks import to_blocks
from lmft.corpus.prose.line import Line
from lmft.corpus.prose.notice_rules import CREDIT, LINE_RULES, RULES, reason_of
from lmft.corpus.prose.spans import Span, lines_with

_HEAD_LINES = 250
_TAIL_LINES = 150
_MAX_UNIT_LINES = 30
_MAX_UNIT_CHARACTERS = 2_500

# Archive of Our Own puts a block of labels, each with its value, before a work.
_OUR_OWN = "archive of our own"
_OUR_OWN_FIELD = re.compile(
    r"(?:Rating|Archive Warnings?|Categor(?:y|ies)|Fandoms?|Relationships?|Characters?"
    r"|Additional Tags|Language|Series|Collections|Stats|Published|Words|Chapters):"
)
_NOTE_HEADING = re.compile(
    r"[*_ ]*(?:transcriber|preparer|redactor|proofreader|producer|scanner)s?['’]?s?['’]?"
    r" notes?\b(?P<rest>.*)",
    re.I,
)
_NOTE_WORDS = re.compile(
    r"\b(?:spell(?:ing|ed)|hyphenat\w+|punctuation|typograph\w+|printer['’]s errors?|obvious"
    r"|original text|e-?text|text is|text was|translations?|editions?|footnotes?|corrected"
    r"|changed (?:to|from)|italics?|transcri\w+|illustrations?|(?:page|p\.) \d+)\b",
    re.I,
)
# The scanner's name is under every page, read by a machine: Google, VjOOQIC, LjOOQlC.
_ANYWHERE = re.compile(
    r"Digitized by (?:Google|Microsoft|\w{0,3}OO\w{0,6})\W*"
    r"|Posted originally on the Archive of Our Own\b.{0,120}"
    r"|Please drop by the Archive and comment\b.{0,120}"
)
_ANYWHERE_NEEDLES = ("Digitized by ", "Posted originally on", "Please drop by the Archive")
_IMPRINT = re.compile(r"(?:imprint|colophon|uncopyright|about this digital edition)\W*$", re.I)


class _Unit(NamedTuple):
    begin: int
    end: int
    text: str


def notice_spans(lines: list[Line], *, first: bool, last: bool, gutenberg: bool) -> list[Span]:
    """Where they stand: near the begin of the first lines and the end of the last.

    `gutenberg` says that the file had that project's header, so that a bare "Produced by" is a
    credit.
    """
    spans = [
        Span(index, index + 1, "licence", mends=True)
        for index in lines_with(lines, _ANYWHERE_NEEDLES)
        if _ANYWHERE.fullmatch(lines[index].text.strip())
    ]
    if first:
        units = list(_units(lines, 0, min(_HEAD_LINES, len(lines))))
        spans += _spans(units, gutenberg=gutenberg)
        spans += [
            Span(index, index + 1, reason)
            for index, line in enumerate(lines[:_HEAD_LINES])
            if (reason := reason_of(line.text.strip(), LINE_RULES))
        ]
    if last:
        units = list(_units(lines, max(0, len(lines) - _TAIL_LINES), len(lines)))
        spans += _spans(units, gutenberg=False)
    return spans


def _units(lines: list[Line], begin: int, end: int) -> Iterator[_Unit]:
    """Paragraphs; single lines where there are no blank lines to tell paragraphs apart."""
    blocks, _ = to_blocks(lines[begin:end])
    for _, start, block in blocks:
        at = begin + start
        if len(blocks) > 1 and len(block) <= _MAX_UNIT_LINES:
            text = " ".join([line.text.strip() for line in block])
            if len(text) <= _MAX_UNIT_CHARACTERS:
                yield _Unit(at, at + len(block), text)
        else:
            for index, line in enumerate(block, at):
                if len(line.text) <= _MAX_UNIT_CHARACTERS:
                    yield _Unit(index, index + 1, line.text.strip())


def _spans(units: Sequence[_Unit], *, gutenberg: bool) -> list[Span]:
    found: list[Span] = []
    rules = (*RULES, CREDIT) if gutenberg else RULES
    our_own = any(_OUR_OWN in unit.text[:400].lower() for unit in units)
    for index, (begin, end, text) in enumerate(units):
        if reason := reason_of(text, rules):
            found.append(Span(begin, end, reason))
            if index and _IMPRINT.match(units[index - 1].text):
                found.append(Span(*units[index - 1][:2], reason))
        elif our_own and _OUR_OWN_FIELD.match(text):
            found.append(Span(begin, end, "credits"))
            following = units[index + 1] if text.endswith(":") and index + 1 < len(units) else None
            if following and not _OUR_OWN_FIELD.match(following.text):
                found.append(Span(following.begin, following.end, "credits"))
        elif "ote" in text[:40] or "OTE" in text[:40]:
            found += _note(units, index)
    return found


def _note(units: Sequence[_Unit], index: int) -> list[Span]:
    """A note with its heading: as far as its paragraphs speak of the making of the text."""
    heading = _NOTE_HEADING.match(units[index].text)
    if heading is None:
        return []
    end = index + 1
    while end < len(units) and _NOTE_WORDS.search(units[end].text):
        end += 1
    if end == index + 1 and not _NOTE_WORDS.search(heading["rest"]):
        return []
    return [Span(unit.begin, unit.end, "transcriber's note") for unit in units[index:end]]
