"""SillyTavern chats: a line about the chat, then a JSON object for each message."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from lmft.corpus.documents import Document, Message, Role
from lmft.corpus.findings import Findings
from lmft.corpus.readers.reader import Reader
from lmft.corpus.readers.rows.strict_json import JsonFault, parse
from lmft.corpus.readers.turns import join_turns
from lmft.corpus.source import SourceFile

_IS_USER = re.compile(r'"is_user"\s*:\s*(?:true|false)')
_WORDS = re.compile(r'"mes"\s*:\s*"')
_LARGE_ABOUT = re.compile(r'\{"chat_metadata":\{"[^\n]*\Z')
_MACRO = re.compile(r"\{\{(user|char)\}\}", re.IGNORECASE)
# What newer versions write where older ones wrote the names.
_NO_NAME = "unused"


class _Row(NamedTuple):
    role: Role
    name: str
    text: str


def sniff(source: SourceFile) -> str | None:
    head = source.head_text.lstrip()
    first, _, rest = head.partition("\n")
    second = rest.lstrip().partition("\n")[0]
    if not first.startswith("{"):
        return None
    if _is_message(first):
        return "each line has SillyTavern's `mes` and `is_user`"
    about = '"chat_metadata"' in first or ('"user_name"' in first and '"character_name"' in first)
    if (about and _is_message(second)) or _LARGE_ABOUT.match(head):
        return "begins with SillyTavern's line about the chat"
    return None


def _is_message(line: str) -> bool:
    return bool(line.startswith("{") and _IS_USER.search(line) and _WORDS.search(line))


def read(source: SourceFile, findings: Findings) -> Iterator[Document]:
    """The one conversation of the file, with the chosen swipe of each message.

    Messages that are hidden from the model are left out; a narrator's become `system`.

    Raises:
        Unreadable: not text.
    """
    user = char = ""
    rows: list[_Row] = []
    number = 0
    for number, line in enumerate(source.lines(), start=1):
        if not line.strip():
            continue
        try:
            entry = parse(line)
        except JsonFault as fault:
            findings.fault(source.name, str(fault), line=number)
            continue
        if not rows and isinstance(entry, dict) and "mes" not in entry and _names_chat(entry):
            user, char = _name(entry, "user_name"), _name(entry, "character_name")
        elif wrong := _wrong(entry):
            findings.fault(source.name, wrong, line=number)
        elif entry.get("is_system"):
            findings.drop(source.name, "hidden message", entry["mes"], number, number)
        elif not entry["mes"].strip():
            findings.drop(source.name, "message without text", "", number, number)
        else:
            rows.append(_row(entry))
    turns = join_turns(_messages(rows, user, char))
    if len({turn.role for turn in turns} & {"user", "assistant"}) == 2:
        yield Document(source.name, kind="chat", messages=turns)
    elif turns:
        spoken = "\n".join(turn.content for turn in turns)
        findings.drop(source.name, "monologue", spoken, 1, number)


def _names_chat(entry: dict[str, Any]) -> bool:
    return "user_name" in entry or "chat_metadata" in entry


def _name(about: dict[str, Any], key: str) -> str:
    name = about.get(key)
    return name.strip() if isinstance(name, str) and name != _NO_NAME else ""


def _wrong(entry: Any) -> str:
    """What keeps a line from being used; empty for nothing."""
    if not isinstance(entry, dict):
        return "not an object; a message is {'name': ..., 'is_user': ..., 'mes': ...}"
    for key in ("mes", "name"):
        if not isinstance(entry.get(key), str):
            return f"`{key}` is not a string"
    if not isinstance(entry.get("is_user"), bool):
        return "`is_user` is not true or false"
    if not isinstance(entry.get("is_system"), bool | None):
        return "`is_system` is not true or false"
    return ""


def _row(entry: dict[str, Any]) -> _Row:
    extra = entry.get("extra")
    narrated = isinstance(extra, dict) and extra.get("type") == "narrator"
    role: Role = "system" if narrated else "user" if entry["is_user"] else "assistant"
    return _Row(role, entry["name"].strip(), entry["mes"].strip())


def _messages(rows: list[_Row], user: str, char: str) -> Iterator[Message]:
    """The rows with their names; where the file's first line has none, those of the messages."""
    user = user or next((row.name for row in rows if row.role == "user" and row.name), "User")
    cast = (row.name for row in rows if row.role == "assistant" and row.name)
    char = char or next(cast, "Character")
    for row in rows:
        name = row.name or (user if row.role == "user" else char)
        # In a group every character's `{{char}}` is itself.
        text = _filled(row.text, user, name if row.role == "assistant" else char)
        yield Message(row.role, text, None if row.role == "system" else name)


def _filled(text: str, user: str, char: str) -> str:
    return _MACRO.sub(lambda macro: user if macro[1].lower() == "user" else char, text)


READER = Reader("SillyTavern chat", sniff, read)
