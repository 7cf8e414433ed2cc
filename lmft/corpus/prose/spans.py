"""Runs of lines that are left out, each reported."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate
from typing import NamedTuple

from lmft.corpus.findings import Findings
from lmft.corpus.prose.blocks import goes_on
from lmft.corpus.prose.line import Line


class Span(NamedTuple):
    """Lines `begin` to before `end` of a list.

    Attributes:
        mends: what is left out may stand in mid-sentence (a page number); the sentence is then
            made whole.
    """

    begin: int
    end: int
    reason: str
    mends: bool = False


def lines_with(lines: list[Line], needles: Iterable[str]) -> list[int]:
    """Indices of the lines that hold one of `needles`, at the speed of a search in one string."""
    text = "\n".join([line.text for line in lines])
    places: list[int] = []
    for needle in needles:
        place = text.find(needle)
        while place >= 0:
            places.append(place)
            place = text.find(needle, place + len(needle))
    if not places:
        return []
    starts = list(accumulate((len(line.text) + 1 for line in lines), initial=0))
    return sorted({bisect_right(starts, place) - 1 for place in places})


def drop_spans(
    name: str, lines: list[Line], spans: Iterable[Span], findings: Findings
) -> list[Line]:
    """The lines outside of all `spans`.

    Overlapping spans are reported once, as the first; neighbours of one reason as one.
    """
    dropped: list[Span] = []
    position = 0
    for begin, end, reason, mends in sorted(spans):
        begin = max(begin, position)
        while begin < end and not lines[begin].text.strip():
            begin += 1
        while end > begin and not lines[end - 1].text.strip():
            end -= 1
        if begin >= end:
            continue
        position = end
        before = dropped[-1] if dropped else None
        if before and before.reason == reason and not _has_text(lines[before.end : begin]):
            dropped[-1] = before._replace(end=end)
        else:
            dropped.append(Span(begin, end, reason, mends))
    for begin, end, reason, _ in dropped:
        text = "\n".join(line.text for line in lines[begin:end])
        findings.drop(name, reason, text, lines[begin].number, lines[end - 1].number)
    return leave_out(lines, dropped)


def _has_text(lines: list[Line]) -> bool:
    return any(line.text.strip() for line in lines)


def leave_out(lines: list[Line], spans: list[Span]) -> list[Line]:
    """The lines outside of `spans`, which are in order.

    What stood between blank lines leaves the larger of the gaps before and behind it.
    """
    if not spans:
        return lines
    kept: list[Line] = []
    position = before = 0
    for span in spans:
        if span.end <= position:
            continue
        between = lines[position : span.begin]
        blank = _blank_lines(reversed(between))
        before = before + blank if blank == len(between) else blank
        kept += between
        position = span.end
        if not before and kept:
            continue
        behind = _blank_lines(lines[index] for index in range(position, len(lines)))
        following = position + behind
        has_both = following < len(lines) and before < len(kept)
        if span.mends and has_both and goes_on(kept[-before - 1].text, lines[following].text):
            del kept[len(kept) - before :]
            position = following
            before = 0
        else:
            position += min(before, behind)
    return kept + lines[position:]


def _blank_lines(lines: Iterable[Line]) -> int:
    """How many of them are blank before the first that is not."""
    count = 0
    for line in lines:
        if line.text.strip():
            break
        count += 1
    return count
