"""The page's sections on what was left out, and on what is personal or was bad.

Each gives HTML, or nothing where nothing was found.
"""

from __future__ import annotations

from collections.abc import Sequence

from lmft.corpus.info import CorpusInfo, DropCount, DropInfo
from lmft.corpus.survey.secrets import MASK
from lmft.report.page import listing, rest, safe, table
from lmft.report.plain import counted

_MAX_PLACES = 25


def drops(info: CorpusInfo) -> str:
    """By reason, with the first places of each to fold out."""
    by_reason: dict[str, list[DropInfo]] = {}
    for drop in info.drops:
        by_reason.setdefault(drop.reason, []).append(drop)
    return "".join(_dropped(count, by_reason.get(count.reason, [])) for count in info.dropped)


def _dropped(count: DropCount, drops: Sequence[DropInfo]) -> str:
    head = (
        f"{safe(count.reason)}: {counted(count.places, 'place')}, "
        f"{counted(count.n_characters, 'character')}"
    )
    rows = [
        (safe(d.file), _lines(d), f"{d.n_characters:,}", safe(d.excerpt))
        for d in drops[:_MAX_PLACES]
    ]
    if not rows:
        return f"<p>{head}"
    heads = ("File", "Lines", "Characters", "Begins")
    listed = table("Where", heads, rows, "tnnt") + rest(len(rows), count.places)
    return f"<details><summary>{head}</summary>{listed}</details>"


def _lines(drop: DropInfo) -> str:
    if not drop.first_line:
        return ""
    if drop.first_line == drop.last_line:
        return f"{drop.first_line:,}"
    return f"{drop.first_line:,} to {drop.last_line:,}"


def duplicates(info: CorpusInfo) -> str:
    """What was left out as a repeat, and of what."""
    if not info.n_duplicates:
        return ""
    head = f"<p>{counted(info.n_duplicates, 'part')} left out: the same was said before.</p>"
    rows = [(safe(double.source), safe(double.of)) for double in info.duplicates[:_MAX_PLACES]]
    if not rows:
        return head
    return (
        head
        + table("Which, and what they repeat", ("Left out", "Repeats"), rows, "tt")
        + rest(len(rows), info.n_duplicates)
    )


def secrets(info: CorpusInfo) -> str:
    """What kinds of personal data there are, and where; never the values."""
    rows = [
        (safe(secret.kind), f"{secret.count:,}", ", ".join(map(safe, secret.places)))
        for secret in info.secrets
    ]
    if not rows:
        return ""
    sentence = (
        f"<p>They stay in the text and will be learnt. This page shows {MASK} for each of their "
        "characters; take them out of the files if nobody is to read them.</p>"
    )
    return sentence + table("What kind and where first", ("Kind", "Times", "In"), rows, "tnt")


def faults(info: CorpusInfo) -> str:
    """What could not be read, each with what would be right."""
    if not info.n_faults:
        return ""
    head = f"<p>{counted(info.n_faults, 'fault')}; none of it reaches training.</p>"
    return head + listing(info.faults, info.n_faults)
