"""Long documents cut into parts: at paragraph ends, between turns, never inside a sentence."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterator

from lmft.corpus.documents import Document, Message
from lmft.corpus.prose import parts as prose_parts
from lmft.corpus.prose.parts import PART_BYTES, Piece

_PIECE = re.compile(r"[^\n]*\n+|[^\n]+")


def cut(document: Document, part_bytes: int = PART_BYTES) -> list[Document]:
    """Parts of about `part_bytes`; joined in order they are the document.

    A story is cut as lmft.corpus.prose.parts does it. A conversation is cut before a turn of
    the person's side. A preference is never cut.
    """
    if document.kind == "preference" or document.n_bytes <= 2 * part_bytes:
        return [document]
    if document.messages:
        groups = list(_grouped(_exchanges(document.messages), part_bytes))
        parts = [dataclasses.replace(document, messages=tuple(group)) for group in groups]
    else:
        texts = [part.text for part in prose_parts.cut(_pieces(document.text), part_bytes)]
        ends = itertools.accumulate(map(len, texts))
        parts = [
            dataclasses.replace(document, text=text, retold=_within(document, end - len(text), end))
            for text, end in zip(texts, ends, strict=True)
        ]
    last = len(parts) - 1
    return [
        dataclasses.replace(
            part,
            begins=document.begins and number == 0,
            ends=document.ends and number == last,
        )
        for number, part in enumerate(parts)
    ]


def _within(document: Document, start: int, end: int) -> tuple[tuple[int, int], ...]:
    """What is retold between two places of the text, counted from the first."""
    cut_to = ((max(first, start), min(last, end)) for first, last in document.retold)
    return tuple((first - start, last - start) for first, last in cut_to if first < last)


def _pieces(text: str) -> Iterator[Piece]:
    """Paragraphs with what separates them; every line is one where the text has no blank lines."""
    lines_are_paragraphs = "\n\n" not in text
    for found in _PIECE.finditer(text):
        piece = found.group()
        apart = lines_are_paragraphs or piece.endswith("\n\n") or found.end() == len(text)
        yield Piece(0, piece, apart)


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
        current += exchange
        size += length
    yield current
