"""Long documents cut into parts: at paragraph ends, between turns, never inside a sentence."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

from lmft.corpus.documents import Document, Message

PART_BYTES = 8_000


def cut(document: Document, part_bytes: int = PART_BYTES) -> list[Document]:
    """Parts of about `part_bytes`; joined in order they are the document.

    A story is cut at a blank line where it has any, else at a line end, and a player's action
    line stays with its answer. A conversation is cut before a turn of the person's side. A
    preference is never cut.
    """
    if document.kind == "preference" or document.n_bytes <= 2 * part_bytes:
        return [document]
    if document.messages:
        groups = list(_grouped(_exchanges(document.messages), part_bytes))
        return _flagged(document, [{"messages": tuple(group)} for group in groups])
    return _flagged(document, [{"text": text} for text in _texts(document.text, part_bytes)])


def _flagged(document: Document, contents: list[dict[str, object]]) -> list[Document]:
    last = len(contents) - 1
    return [
        dataclasses.replace(
            document,
            begins=document.begins and number == 0,
            ends=document.ends and number == last,
            **content,  # type: ignore[arg-type]
        )
        for number, content in enumerate(contents)
    ]


def _texts(text: str, part_bytes: int) -> list[str]:
    boundary = r"(?<=\n\n)(?=[^\n])" if "\n\n" in text else r"(?<=\n)(?=\S)"
    parts: list[str] = []
    current, size = "", 0
    for paragraph in re.split(boundary, text):
        length = len(paragraph.encode())
        if current and size + length > part_bytes and not paragraph.lstrip("\n").startswith(">"):
            parts.append(current)
            current, size = "", 0
        current += paragraph
        size += length
    if size < part_bytes // 4 and parts:
        parts[-1] += current
    else:
        parts.append(current)
    return parts


def _exchanges(messages: tuple[Message, ...]) -> Iterator[list[Message]]:
    """Turns in groups that belong together: what is asked, and all answers to it.

    Where roles are not known yet, every turn is a group of its own.
    """
    group: list[Message] = []
    answered = False
    for message in messages:
        if group and (answered or message.name is not None) and message.role == "user":
            yield group
            group, answered = [], False
        group.append(message)
        answered = answered or message.role == "assistant"
    yield group


def _grouped(exchanges: Iterator[list[Message]], part_bytes: int) -> Iterator[list[Message]]:
    current: list[Message] = []
    size = 0
    for exchange in exchanges:
        length = sum(len(message.content.encode()) for message in exchange)
        if current and size + length > part_bytes:
            yield current
            current, size = [], 0
        current = current + exchange
        size += length
    yield current
