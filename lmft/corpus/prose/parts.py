"""A scene's paragraphs to parts of a size that training can use."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

PART_BYTES = 8_000
# A paragraph is never cut, unless it is this long: then it is none that a person wrote.
MAX_PARAGRAPH_BYTES = 64 << 10
_SENTENCE_END = re.compile(r"[.!?…][\"”’'»)\]]*\s+|[。！？][」』”’]*")


class Piece(NamedTuple):
    """A paragraph and what separates it from the next.

    Attributes:
        apart: a blank line follows, or it is the last.
    """

    number: int
    text: str
    apart: bool


class Part(NamedTuple):
    """`number` is the line where it begins."""

    number: int
    text: str


def cut(pieces: Iterable[Piece], part_bytes: int = PART_BYTES) -> Iterator[Part]:
    """Parts of up to `part_bytes`, cut where a blank line is.

    Lines without blank lines between them are cut from each other only when there are more than
    `part_bytes` of them, a player's action never from the answer below it. A rest of less than a
    quarter joins the part before it. `text` of all parts joined is that of all pieces.
    """
    held: Part | None = None
    texts: list[str] = []
    number = size = 0
    for atom in _atoms(pieces, part_bytes):
        length = _n_bytes(atom.text)
        if texts and size + length > part_bytes:
            if held is not None:
                yield held
            held = Part(number, "".join(texts))
            texts, size = [], 0
        if not texts:
            number = atom.number
        texts.append(atom.text)
        size += length
    if not texts:
        return
    rest = Part(number, "".join(texts))
    if held is None:
        yield rest
    elif size < part_bytes // 4:
        yield Part(held.number, held.text + rest.text)
    else:
        yield held
        yield rest


def _atoms(pieces: Iterable[Piece], part_bytes: int) -> Iterator[Part]:
    """What is never cut."""
    texts: list[str] = []
    number = size = 0
    action = False
    for piece in pieces:
        length = _n_bytes(piece.text)
        if texts and size + length > part_bytes and (not action or size > part_bytes):
            yield Part(number, "".join(texts))
            texts, size = [], 0
        if length > MAX_PARAGRAPH_BYTES:
            if texts:
                yield Part(number, "".join(texts))
                texts, size = [], 0
            for text in _broken(piece.text, length):
                yield Part(piece.number, text)
            action = False
            continue
        if not texts:
            number = piece.number
        texts.append(piece.text)
        size += length
        action = piece.text.startswith(">")
        if piece.apart and not action:
            yield Part(number, "".join(texts))
            texts, size = [], 0
    if texts:
        yield Part(number, "".join(texts))


def _broken(text: str, n_bytes: int) -> Iterator[str]:
    """At the last sentence end within PART_BYTES, else at the last space, else anywhere."""
    room = max(1, PART_BYTES * len(text) // n_bytes)
    begin = 0
    while len(text) - begin > room:
        window = text[begin : begin + room]
        end = 0
        for sentence in _SENTENCE_END.finditer(window):
            end = sentence.end()
        end = end or window.rfind(" ") + 1 or room
        yield text[begin : begin + end]
        begin += end
    yield text[begin:]


def _n_bytes(text: str) -> int:
    # A lone surrogate from a JSON escape is no UTF-8, but must not stop the count.
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))
