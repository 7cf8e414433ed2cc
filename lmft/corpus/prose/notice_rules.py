"""How the paragraphs begin, or what they must say, that are notices and no story."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple


class Rule(NamedTuple):
    """Attributes:
    needles: one of them is in the lower-case paragraph; a cheap test before the dear one.
    pattern: matched from the paragraph's begin.
    """

    reason: str
    max_characters: int
    needles: tuple[str, ...]
    pattern: re.Pattern[str]


def reason_of(text: str, rules: Sequence[Rule]) -> str | None:
    """Why the paragraph is a notice, or None."""
    lower = text.lower()
    for reason, max_characters, needles, pattern in rules:
        if len(text) > max_characters:
            continue
        for needle in needles:
            if needle in lower and pattern.match(text):
                return reason
    return None


def _rule(reason: str, max_characters: int, needles: str, pattern: str) -> Rule:
    return Rule(reason, max_characters, tuple(needles.split("|")), re.compile(pattern, re.I))


_YEAR = r"\b(?:1[5-9]|20)\d\d\b"
_ETEXT = r"(?:this )?(?:e-?text|e-?book|electronic (?:edition|file|version|text))"
_MADE = r"(?:prepared|produced|scanned|transcribed|proofread)"

# Each is anchored at the paragraph's begin or needs words that no story has together. Dialogue
# begins with a quotation mark and so matches none of the former.
RULES = (
    _rule("licence", 200, "rights reserved", r"all rights reserved\.?$"),
    _rule(
        "licence",
        1_500,
        "rights reserved",
        r"all rights reserved\b.*\b(?:reproduced|copied|permission)\b",
    ),
    _rule(
        "licence",
        1_500,
        "no part of this",
        r"no part of this (?:e-?book|book|publication|work|story)\b.*\bmay be\b",
    ),
    _rule(
        "licence",
        600,
        "copyright|©|(c)",
        rf"(?:text |first )?(?:copyright|©|\(c\))\W[^.!?]{{0,60}}{_YEAR}",
    ),
    _rule("licence", 400, "isbn", r"(?:e-?)?ISBN(?:-1[03])?\b[\s:#(]*[\dX(][\dX (-]{8,}"),
    _rule(
        "licence",
        900,
        "work of fiction",
        r"this (?:book |story |novel )?is a work of fiction\b.*\b(?:fictitious|coinciden)",
    ),
    _rule(
        "licence",
        200,
        "published|edition|printing",
        rf"first (?:published|edition|printing)\b.*{_YEAR}"
        rf"|published (?:in \d{{4}} )?by [^.;!?]{{2,80}}{_YEAR}\W*$",
    ),
    _rule(
        "licence",
        120,
        "printed",
        r"printed (?:and bound )?in (?:the )?(?:United|U\.?S\.?A|U\.?K|Great Britain|England"
        r"|Scotland|Ireland|Canada|Australia|Germany|France|Italy|Spain|China|India)\b[^;!?]*$",
    ),
    _rule(
        "licence",
        1_500,
        "creative commons",
        r".*\b(?:licen[sc]ed|released|available) under (?:a|the) creative commons\b",
    ),
    _rule(
        "licence",
        400,
        "creativecommons.org",
        r".*\bcreativecommons\.org/(?:licen[sc]es|publicdomain)\b",
    ),
    _rule(
        "licence",
        2_500,
        "standard ebooks|standardebooks",
        r"(?=.*\bstandard ?ebooks\b).*\b(?:volunteers?|public domain|produced|uncopyright|CC0)\b",
    ),
    _rule(
        "licence",
        1_000,
        "wikisource",
        r".*\bwikisource\b.*\b(?:exported|library|edition|public domain|commons)\b"
        r"|(?:exported from|this e-?book comes from)\b.*\bwikisource\b",
    ),
    _rule(
        "licence",
        1_000,
        "public domain",
        r".*\b(?:this|the) (?:work|text|e-?book|author|material)\b.*\bin the (?:[\w ]+ )?"
        r"public domain\b.*\b(?:copyright|countr|United States)",
    ),
    _rule("licence", 1_200, "at no cost", r"this e-?book is (?:made available|for the use of)\b"),
    _rule(
        "licence",
        400,
        "fadedpage|proofreaders canada|project gutenberg",
        r".*\b(?:fadedpage|distributed proofreaders canada"
        r"|project gutenberg (?:canada|australia))\b",
    ),
    _rule(
        "licence",
        300,
        "digitized|digitised",
        r"digiti[sz]ed (?:by|for|in|from)\b.*\b(?:google|archive|microsoft|library|university)\b",
    ),
    _rule(
        "licence",
        300,
        "funding from|archive.org/details",
        r"in \d{4} with funding from|https?://(?:www\.)?archive\.org/details/",
    ),
    _rule(
        "licence",
        300,
        "archive of our own|drop by the archive",
        r"posted originally on the archive of our own\b|please drop by the archive and comment\b",
    ),
    _rule("credits", 600, "text|book|electronic", rf"{_ETEXT} (?:was |is )?{_MADE} (?:by|from)\b"),
    _rule(
        "credits",
        600,
        "produced|transcribed|scanned|prepared|proofed|digiti",
        r"(?:produced|transcribed|scanned|prepared|proofed|digiti[sz]ed)(?:,? (?:and )?\w+)?"
        r" (?:by|from)\b.*(?:https?:|www\.|\S@\S|\bproofread|\bpgdp\b|gutenberg|\be-?text)",
    ),
    _rule("credits", 600, "transcribed", r"transcribed from the .{4,120}\bedition\b.{0,40}\bby\b"),
    _rule("credits", 400, "file was first", r"\[?this file was first posted on\b"),
)
# These are notices as single lines, too, where a title stands right above them.
LINE_RULES = (
    _rule("licence", 40, "rights reserved", r"all rights reserved\.?$"),
    _rule(
        "licence",
        120,
        "©|(c)",
        rf"(?:copyright )?(?:©|\(c\)) ?(?:by [^.!?]{{2,60}})?{_YEAR}"
        rf"|copyright (?:©|\(c\)).*{_YEAR}",
    ),
    _rule("licence", 80, "isbn", r"(?:e-?)?ISBN(?:-1[03])?\b[\s:#(]*[\dX(][\dX (-]{8,}$"),
)
# A story may begin so: only for a file of a project that begins its files so.
CREDIT = _rule(
    "credits",
    300,
    "produced|transcribed|scanned|prepared|version",
    r"(?:produced|transcribed|scanned|prepared|html version) by (?-i:[A-Z])",
)
