"""JSON text taken apart without parsing it: the elements of an array, the keys that come first.

An array that is parsed whole is lost whole; taken apart, a bad element costs only itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from lmft.corpus.readers.rows.strict_json import STRING, JsonFault

_MARK = re.compile(rf"{STRING}|[][{{}},]", re.DOTALL)
_OPENING = re.compile(r"\s*(\[\s*)?\{")
_COLON = re.compile(r"\s*:")


class Element(NamedTuple):
    """Attributes:
    number: from 1.
    line: where `text` begins, from 1.
    text: stripped; not checked in any way.
    """

    number: int
    line: int
    text: str


class _Mark(NamedTuple):
    """A bracket or comma outside strings, or a whole string; `depth` counts the mark itself."""

    kind: str
    depth: int
    start: int
    end: int


def elements(text: str) -> Iterator[Element]:
    """The elements of the array that `text` is, which must begin with `[`.

    Raises:
        JsonFault: after the last element, if the array is not closed or more follows.
    """
    number, line, counted = 1, 1, 0
    start = text.index("[") + 1
    first_line = 1 + text.count("\n", 0, start)
    closed = False
    for mark in _marks(text):
        if mark.depth != 1 or mark.kind not in ",]":
            continue
        closed = mark.kind == "]"
        piece = text[start : mark.start]
        if number > 1 or not closed or piece.strip():
            begin = mark.start - len(piece.lstrip())
            line, counted = line + text.count("\n", counted, begin), begin
            yield Element(number, line, piece.strip())
        number, start = number + 1, mark.end
        if closed:
            break
    rest = text[start:]
    begin = len(text) - len(rest.lstrip())
    line += text.count("\n", counted, begin)
    if not closed:
        if rest.strip():
            yield Element(number, line, rest.strip())
        raise JsonFault(
            "the list that begins here is never closed; is the file cut short?", first_line
        )
    if rest.strip():
        raise JsonFault("something follows the end of the list; remove it", line)


def first_keys(text: str) -> list[str]:
    """The top keys of the object that `text`, which may be cut off, or its array begins with."""
    opening = _OPENING.match(text)
    if not opening:
        return []
    level = 1 if opening[1] is None else 2
    keys: list[str] = []
    for mark in _marks(text):
        if mark.kind == '"' and mark.depth == level and _COLON.match(text, mark.end):
            keys.append(text[mark.start + 1 : mark.end - 1])
        elif mark.kind == "}" and mark.depth == level:
            break
    return keys


def is_closed(text: str) -> bool:
    """Whether the object or list that `text` begins with ends in it."""
    return any(mark.depth == 1 and mark.kind in "]}" for mark in _marks(text))


def _marks(text: str) -> Iterator[_Mark]:
    depth = 0
    for match in _MARK.finditer(text):
        start, end = match.span()
        kind = text[start]
        depth += kind in "[{"
        yield _Mark(kind, depth, start, end)
        depth -= kind in "]}"
