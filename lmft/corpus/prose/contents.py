"""Tables of contents: found, confirmed by the text, left out."""

from __future__ import annotations

import re
from typing import NamedTuple

from lmft.corpus.findings import Findings
from lmft.corpus.prose.line import Line
from lmft.corpus.prose.spans import Span, drop_spans

_HEAD_LINES = 2_000
_MAX_ENTRY_CHARACTERS = 120
_MAX_UNCONFIRMED = 6
_MIN_ENTRIES = 3
_LARGE_GAP = 3
_HEADING = re.compile(r"[\W_]*(?:(?:the|table of) )?contents(?: of volume \w+)?[\W_]*", re.I)
_ILLUSTRATIONS = re.compile(r"[\W_]*(?:list of )?illustrations[\W_]*", re.I)
_PAGE = re.compile(r"(?:[\s.·…_]{2,}|,? |\t)(?:\d{1,4}|[ivxlc]{1,8})\W*$")
_LEADERS = re.compile(r"(?:[.·…_] ?){3,}|[ \t]{2,}(?:\d{1,4}|[ivxlc]+)\W*$|\t\d{1,4}$")
_NUMBERED = re.compile(
    r"\W*(?:chapter|book|part|volume|letter|canto|stave)\W+[ivxlc\d]+\b"
    r"|\W*(?:[ivxlc]+|\d{1,3})[.):—-]+\s+\S",
    re.I,
)
_NUMBER = re.compile(r"^(?:(?:chapter|book|part|story|tale|letter) )?(?:[ivxlc]+|\d{1,3}) (?=\w)")
_SPEECH = "\"“‘'«„"
_NOT_WORD = re.compile(r"[\W_]+")


class Contents(NamedTuple):
    """The lines without the table, and its entries as `title_key` has them."""

    lines: list[Line]
    entries: frozenset[str]


def title_key(text: str) -> str:
    """A title without case and punctuation."""
    return _NOT_WORD.sub(" ", text.casefold()).strip()


def drop_contents(name: str, lines: list[Line], findings: Findings) -> Contents:
    """Leave out every table of contents and list of illustrations near the begin of `lines`.

    A list is one when half of its lines are confirmed: the same words stand alone on a later
    line, or a page number or a chapter's number goes with them.
    """
    spans: list[Span] = []
    entries: set[str] = set()
    later: dict[str, int] | None = None
    for index, line in enumerate(lines[:_HEAD_LINES]):
        if len(line.text) > _MAX_ENTRY_CHARACTERS or not line.text:
            continue
        if not (_HEADING.fullmatch(line.text) or _ILLUSTRATIONS.fullmatch(line.text)):
            continue
        if spans and index < spans[-1].end:
            continue
        if later is None:
            later = _last_places(lines)
        end, keys = _list_after(lines, index, later)
        if end:
            spans.append(Span(index, end, "table of contents"))
            entries |= keys
    return Contents(drop_spans(name, lines, spans, findings), frozenset(entries))


def _last_places(lines: list[Line]) -> dict[str, int]:
    """Where a line last stands that has a blank line above or below it, as headings have."""
    places: dict[str, int] = {}
    before = ""
    for index, (_, text, _) in enumerate(lines):
        set_off = not before or index + 1 == len(lines) or not lines[index + 1].text
        if text and set_off and len(text) <= _MAX_ENTRY_CHARACTERS and text[0] not in _SPEECH:
            places[title_key(text)] = index
        before = text
    return places


def _keys(text: str) -> list[str]:
    """The entry as it may stand over its chapter: with and without page and number."""
    whole, bare = title_key(text), title_key(_PAGE.sub("", text))
    return [key for key in (whole, bare, _NUMBER.sub("", bare)) if len(key) > 2]


def _list_after(lines: list[Line], heading: int, later: dict[str, int]) -> tuple[int, set[str]]:
    """The index behind the list's last line (0 when there is no list) and the entries."""
    seen: set[str] = set()
    confirmed: list[tuple[int, list[str]]] = []
    unconfirmed = gap = 0
    for index in range(heading + 1, len(lines)):
        text = lines[index].text
        if not text.strip():
            gap += 1
            continue
        if len(text) > _MAX_ENTRY_CHARACTERS:
            break
        keys = _keys(text)
        # The first entry again, or any other: the text has begun.
        if gap and keys and keys[-1] in seen:
            break
        titled = any(later.get(key, 0) > index for key in keys)
        if titled or _LEADERS.search(text) or _NUMBERED.match(text):
            confirmed.append((index, keys))
            unconfirmed = 0
        else:
            unconfirmed += 1
            if unconfirmed > _MAX_UNCONFIRMED or (gap >= _LARGE_GAP and confirmed):
                break
        seen.update(keys[-1:])
        gap = 0
    if not confirmed:
        return 0, set()
    end = confirmed[-1][0] + 1
    listed = sum(1 for line in lines[heading + 1 : end] if line.text.strip())
    if len(confirmed) < _MIN_ENTRIES or len(confirmed) * 2 < listed:
        return 0, set()
    return end, {key for _, keys in confirmed for key in keys if later.get(key, 0) >= end}
