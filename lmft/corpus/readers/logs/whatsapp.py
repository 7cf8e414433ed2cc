"""WhatsApp's text export, as Android and iOS write it in their many languages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice

from lmft.corpus.documents import Document
from lmft.corpus.findings import Findings
from lmft.corpus.readers.logs.contacts import Contacts
from lmft.corpus.readers.logs.sessions import Said, conversations
from lmft.corpus.readers.logs.whatsapp_notices import without_notices
from lmft.corpus.readers.reader import Reader
from lmft.corpus.source import SourceFile

# Direction marks and the byte order mark, which WhatsApp puts around names, dates and notices.
_MARK = "\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff"
_GAP = rf"[{_MARK}\s]{{0,3}}"
_DATE = (
    rf"(?P<a>\d{{1,4}}){_GAP}(?P<mark>[./-]){_GAP}(?P<b>\d{{1,2}}){_GAP}(?P=mark){_GAP}"
    r"(?P<c>\d{1,4})"
)
# `klo`, `p. m.`, `下午`: before the time or after it.
_WORD = r"(?:[^\W\d][^\d:,\[\]-]{0,6}?)?"
_TIME = (
    rf"(?P<before>{_WORD})\s?(?P<hour>\d{{1,2}})[:.](?P<minute>\d{{2}})(?:[:.](?P<second>\d{{2}}))?"
    rf"\s?(?P<after>{_WORD})"
)
_HEADER = re.compile(
    rf"[{_MARK}]{{0,3}}(?P<open>\[)?{_GAP}{_DATE}\.?[,،]?{_GAP}{_TIME}(?(open)\]|\s[-–—])\s(?P<rest>.*)"
)
_SPEAKER = re.compile(r"(?P<name>[^\n]{1,100}?):(?:[^\S\n]|$)(?P<text>.*)", re.DOTALL)
_FORENOON = re.compile(r"a\.?\s?m|ص|午前|上午|凌晨|早上|오전|π", re.IGNORECASE)
_AFTERNOON = re.compile(r"p\.?\s?m|م|午後|下午|晚上|中午|오후|μ", re.IGNORECASE)
_MARKS = re.compile(f"[{_MARK}]")
# What stands before the colon in a server's log: `ERROR`, `local.ERROR`, `INFO [main]`.
_LEVELS = "TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|ERR|SEVERE|ALERT|CRITICAL|FATAL|EMERGENCY"
_LEVEL = re.compile(rf"(?i:{_LEVELS})|.*\b(?:{_LEVELS})\b.*")
_EPOCH = datetime(1970, 1, 1)
_SNIFFED_ENTRIES = 20


def sniff(source: SourceFile) -> str | None:
    lines = (line for line in source.head_text.split("\n") if line.strip())
    entries = list(islice(_entries(lines), _SNIFFED_ENTRIES))
    if not entries or entries[0][1] is None:
        return None
    names = [_name(speaker) for _, _, text in entries if (speaker := _speaker(text))]
    # Not only the first one, which is often a notice without a name.
    levels = [name for name in names if _LEVEL.fullmatch(name)]
    if len(names) < 2 or 2 * len(levels) >= len(names):
        return None
    return "lines begin with a date, a time and a name, as WhatsApp exports them"


def read(source: SourceFile, findings: Findings) -> Iterator[Document]:
    """The chat's conversations, streamed; one pass more finds out how its dates are written.

    Raises:
        Unreadable: not text.
    """
    yield from conversations(_said(source, findings), source.name, findings)


def _said(source: SourceFile, findings: Findings) -> Iterator[Said]:
    day_first = _is_day_first(source, findings)
    contacts = Contacts()
    for line, head, text in _entries(source.lines()):
        last = line + text.count("\n")
        if head is None:
            if text.strip():
                findings.drop(source.name, "text before the first message", text, line, last)
            continue
        seconds = _seconds(head, day_first=day_first)
        if seconds is None:
            findings.fault(source.name, "a date or time that does not exist", line=line)
            continue
        speaker = _speaker(text)
        if speaker is None:
            findings.drop(source.name, "system line", text, line, last)
            continue
        kept, left_out, reason = without_notices(speaker["text"])
        if reason:
            findings.drop(source.name, reason, left_out, line, last)
        if kept:
            yield Said(line, seconds, contacts.name(_name(speaker)), kept)
    contacts.close(source.name, findings)


def _entries(lines: Iterable[str]) -> Iterator[tuple[int, re.Match[str] | None, str]]:
    """First line, what the date and time are, and the text with the lines that belong to it."""
    first, head = 1, None
    texts: list[str] = []
    for number, line in enumerate(lines, start=1):
        found = _HEADER.match(line)
        if found is None:
            texts.append(line)
            continue
        if texts:
            yield first, head, "\n".join(texts)
        first, head, texts = number, found, [found["rest"]]
    if texts:
        yield first, head, "\n".join(texts)


def _speaker(text: str) -> re.Match[str] | None:
    """Name and words, or None for what WhatsApp itself says."""
    found = _SPEAKER.match(text)
    if found is None or not _name(found):
        return None
    name = found["name"]
    # Ann changed the group name to “Plans: today”
    inside_quotes = name.count('"') % 2 or name.count("“") + name.count("„") > name.count("”")
    return None if inside_quotes else found


def _name(speaker: re.Match[str]) -> str:
    # iOS writes `~` before the name of who is not among the contacts.
    return _MARKS.sub("", speaker["name"]).strip().removeprefix("~").strip()


def _is_day_first(source: SourceFile, findings: Findings) -> bool:
    """31.12.23 rather than 12/31/23, by the first date of the file that can only be one of them."""
    undecided = False
    for line in source.lines():
        head = _HEADER.match(line)
        if head is None or len(head["a"]) > 2:
            continue
        if head["mark"] == "." or int(head["a"]) > 12:
            return True
        if int(head["b"]) > 12:
            return False
        undecided = True
    if undecided:
        findings.note(f"{source.name}: dates may be day/month or month/day; read as day/month")
    return True


def _seconds(head: re.Match[str], *, day_first: bool) -> float | None:
    """Seconds since 1970 on the phone's own clock; None for a time that does not exist."""
    a, b, c = int(head["a"]), int(head["b"]), int(head["c"])
    if len(head["a"]) > 2:
        year, month, day = a, b, c
    else:
        year = c + 2000 if c < 100 else c
        day, month = (a, b) if day_first else (b, a)
        # Two phones' exports in one file.
        if month > 12:
            day, month = month, day
    hour = int(head["hour"])
    word = head["before"] + head["after"]
    if _AFTERNOON.search(word):
        hour = hour % 12 + 12 if hour <= 12 else hour
    elif _FORENOON.search(word):
        hour = hour % 12 if hour <= 12 else hour
    try:
        when = datetime(year, month, day, hour, int(head["minute"]), int(head["second"] or 0))
    except ValueError:
        return None
    return (when - _EPOCH).total_seconds()


READER = Reader("WhatsApp log", sniff, read)
