"""A speaker's name at the start of a line, in each of the ways that scripts set it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

from lmft.corpus.readers.scripts.marks import (
    MAX_MARK_CHARACTERS,
    is_heading,
    is_stage_business,
    is_transition,
)
from lmft.corpus.readers.scripts.names import is_capitals, may_be_name

Kind = Literal["NAME: words", "NAME on its own line", "screenplay", "NAME. words"]

MAX_LABEL_LINE = 500
_MAX_ASIDE_LINES = 8

_WORD = r"[^\W_][\w'’.&/#-]*(?<!_)"
_NAME = rf"(?P<name>{_WORD}(?: {_WORD}){{0,5}})"
_ASIDE = r"(?:\s*(?P<aside>[(\[][^()\[\]]{1,320}[)\]]))?"
_MARK = r"(?:\*\*|__|\*|_)?"
_COLON = re.compile(
    rf"\s*{_MARK}{_NAME}{_MARK}{_ASIDE}{_MARK}(?::{_MARK}(?:\s+|$)|\uff1a)(?P<text>.*)"
)
_BRACKET = re.compile(rf"\s*\[{_NAME}\](?P<aside>):?\s+(?P<text>\S.*)")
_OWN_LINE = re.compile(
    rf"\s*[@*_]{{0,2}}{_NAME}[*_]{{0,2}}{_ASIDE}\s*\^?[.:]?[*_]{{0,2}}\s*(?P<text>)"
)
_STOP_WORD = r"(?:\d\.)?[^\W\d_][\w'’-]*(?:\.[^\W\d_][\w'’-]*)*(?<!_)"
# `MRS. PAGE.`: the first full stop is not the name's.
_TITLE = r"(?:(?:MRS?|MS|DR|ST|REV|CAPT|COL|SERGT?|Mrs?|Ms|Dr|St|Rev|Capt|Col|Sergt?|Mme|Mlle)\. )?"
# `FRAU V. HALLDORF.`
_INITIAL = r"(?: [A-Z]\.(?= [A-ZÀ-Þ]{2}))?"
_STOP_NAME = rf"{_TITLE}{_STOP_WORD}(?:{_INITIAL} {_STOP_WORD}){{0,3}}"
_FULL_STOP = re.compile(
    rf"\s*{_MARK}(?P<name>{_STOP_NAME}){_MARK}{_ASIDE}\.{_MARK}(?:\s+(?P<text>.*)|$)"
)
# `ALICK [who knows all there is` / `to know]. Well.`
_OPEN_ASIDE = re.compile(
    rf"\s*{_MARK}(?P<name>{_STOP_NAME}){_MARK}(?P<aside>) (?P<text>[(\[][^()\[\]]*)"
)
_CLOSED_ASIDE = re.compile(r"[^()\[\]]*[)\]][_*]?\.")


class Label(NamedTuple):
    """A speaker's name at the start of a line; `aside` in its brackets (`(angrily)`)."""

    name: str
    aside: str
    text: str


def parse_label(kind: Kind, lines: Sequence[str], index: int) -> Label | None:
    """The name at the start of line `index`, if it is set in the way of `kind`."""
    line = lines[index]
    head = line[:MAX_LABEL_LINE]
    if kind == "NAME: words":
        match = _COLON.match(head) or _BRACKET.match(head)
    elif kind == "NAME. words":
        match = _FULL_STOP.match(head) or _open_aside(lines, index)
        # Not indented, it may be any sentence: only a paragraph's first, and words after it.
        if match and not is_indented(line):
            first = follows_blank(lines, index) or is_capitals(match["name"])
            if not (first and (match["text"] or _has_line_below(lines, index))):
                return None
    else:
        match = _own_line(lines, index, strict=kind == "screenplay")
    if match is None or is_heading(line) or is_transition(line) or is_stage_business(line):
        return None
    name = " ".join(match["name"].rstrip(".").split())
    if not may_be_name(name):
        return None
    text = (match["text"] or "") + line[MAX_LABEL_LINE:]
    return Label(name, (match["aside"] or "").strip(), text.strip())


def _open_aside(lines: Sequence[str], index: int) -> re.Match[str] | None:
    """A name whose aside is closed on one of the next lines."""
    match = _OPEN_ASIDE.fullmatch(lines[index][:MAX_LABEL_LINE])
    if match is None or not is_capitals(match["name"]):
        return None
    for line in lines[index + 1 : index + _MAX_ASIDE_LINES]:
        if not line.strip():
            return None
        if ")" in line or "]" in line:
            return match if _CLOSED_ASIDE.match(line) else None
    return None


def _own_line(lines: Sequence[str], index: int, *, strict: bool) -> re.Match[str] | None:
    """A name in capitals, alone, with the speech directly below it."""
    line = lines[index]
    if len(line) > MAX_MARK_CHARACTERS or not _has_line_below(lines, index):
        return None
    match = _OWN_LINE.fullmatch(line)
    if match is None or not is_capitals(match["name"]):
        return None
    if strict and (match["name"].endswith(".") or not follows_blank(lines, index)):
        return None
    return match


def is_indented(line: str) -> bool:
    """Whether it begins with white space."""
    return line[:1] in " \t"


def _has_line_below(lines: Sequence[str], index: int) -> bool:
    return index + 1 < len(lines) and bool(lines[index + 1].strip())


def follows_blank(lines: Sequence[str], index: int) -> bool:
    """Whether line `index` begins a paragraph."""
    return index == 0 or not lines[index - 1].strip() or is_heading(lines[index - 1])
