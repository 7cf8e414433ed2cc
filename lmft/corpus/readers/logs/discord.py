"""Discord channels as DiscordChatExporter's JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from lmft.corpus.decode import Unreadable
from lmft.corpus.documents import Document
from lmft.corpus.findings import Findings
from lmft.corpus.readers.logs.sessions import Said, conversations
from lmft.corpus.readers.reader import Reader
from lmft.corpus.readers.rows.strict_json import JsonFault, parse
from lmft.corpus.source import SourceFile

_KEYS = tuple(
    re.compile(pattern)
    for pattern in (r"\A\s*\{", r'"guild"\s*:\s*\{', r'"channel"\s*:\s*\{', r'"messages"\s*:\s*\[')
)
# 20 and 23, which the exporter has no names for, are a bot's answers to a command. The content
# of every other type (joins, pins, calls) is the exporter's own wording.
_SPOKEN = ("Default", "Reply", "20", "23")


def sniff(source: SourceFile) -> str | None:
    if all(key.search(source.head_text) for key in _KEYS):
        return "has DiscordChatExporter's `guild`, `channel` and `messages` keys"
    return None


def read(source: SourceFile, findings: Findings) -> Iterator[Document]:
    """The channel's conversations; `NAME:3` is the one that begins with its third message.

    Speakers are named as the server shows them. Bots stay: one of them may be the character.

    Raises:
        Unreadable: not JSON, or no list of messages.
    """
    try:
        export = parse(source.text())
    except JsonFault as fault:
        raise Unreadable(str(fault), line=fault.line) from fault
    messages = export.get("messages") if isinstance(export, dict) else None
    if not isinstance(messages, list):
        raise Unreadable("`messages` is not a list; export the channel as JSON again")
    said = list(_said(messages, source.name, findings))
    # The exporter can write the newest first.
    if said and (said[0].seconds or 0) > (said[-1].seconds or 0):
        said.reverse()
        findings.note(f"{source.name}: the newest message came first; the order was turned round")
    yield from conversations(said, source.name, findings, has_lines=False)


def _said(messages: list[Any], file: str, findings: Findings) -> Iterator[Said]:
    for number, message in enumerate(messages, start=1):
        wrong = _wrong(message)
        if wrong:
            findings.fault(file, f"message {number}: {wrong}")
        elif message["type"] not in _SPOKEN:
            findings.drop(file, "system message", message["content"], 0, 0)
        elif not message["content"].strip():
            findings.drop(file, "message without text", "", 0, 0)
        else:
            author, when = message["author"], _seconds(message["timestamp"])
            name = author.get("nickname") or author["name"]
            yield Said(number, when, name.strip(), message["content"].strip())


def _wrong(message: Any) -> str:
    """What keeps a message from being used; empty for nothing."""
    if not isinstance(message, dict):
        return "is not an object"
    for key in ("type", "content", "timestamp"):
        if not isinstance(message.get(key), str):
            return f"`{key}` is not a string"
    author = message.get("author")
    if not isinstance(author, dict):
        return "`author` is not an object"
    nickname, name = author.get("nickname"), author.get("name")
    if not (isinstance(nickname, str | None) and isinstance(name, str)):
        return "the author's `name` or `nickname` is not a string"
    if not (nickname or name).strip():
        return "the author has no name"
    if _seconds(message["timestamp"]) is None:
        return "`timestamp` is not an ISO 8601 time, such as 2024-05-01T18:30:00+02:00"
    return ""


def _seconds(timestamp: str) -> float | None:
    try:
        when = datetime.fromisoformat(timestamp)
    except ValueError:
        return None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


READER = Reader("Discord log", sniff, read)
