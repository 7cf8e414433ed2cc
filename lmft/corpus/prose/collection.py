"""Whether a text is a collection of pieces that end, and which headings begin them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from lmft.corpus.prose.blocks import SENTENCE_ENDS
from lmft.corpus.prose.contents import title_key
from lmft.corpus.prose.headings import Mark, is_numbered
from lmft.corpus.prose.unwrap import Paragraph

_MIN_PIECES = 3
_FRONT_PARAGRAPHS = 25
_MAX_FRONT_CHARACTERS = 80
_COLLECTION = re.compile(
    r"\b(?:tales|stories|fables|legends|myths|poems|ballads|works|sketches|anthology|collection"
    r"|märchen|contes|nouvelles|cuentos|novelle|fiabe|сказки|рассказы)\b",
    re.I,
)
_SUB_NUMBER = re.compile(r"\W*(?:[IVXLC]+|\d{1,3})[.):\s—-]+\S")


class Collection(NamedTuple):
    """Which titles begin a piece.

    Attributes:
        level: of the headings in the source's markup; 0 for a text without markup.
        gap: blank lines before them, at least.
    """

    level: int
    gap: int

    def begins_piece(self, paragraph: Paragraph, mark: Mark) -> bool:
        if mark is not Mark.TITLE or _is_part(paragraph.text):
            return False
        if self.level:
            return paragraph.heading == self.level
        return paragraph.gap >= self.gap


def find_collection(
    name: str, paragraphs: Sequence[Paragraph], marks: Sequence[Mark], entries: frozenset[str]
) -> Collection | None:
    """How to tell the pieces, or None for one story.

    A collection says so in its file's name or first lines (tales, fables, works), and its
    headings are titles. Numbered chapters make it one story, however many tales its title
    promises: end-of-text in mid-story does more harm than a story too long.
    """
    titles = [
        (index, paragraph)
        for index, (paragraph, found) in enumerate(zip(paragraphs, marks, strict=True))
        if found is Mark.TITLE and not _is_part(paragraph.text)
    ]
    n_chapters = sum(found is Mark.CHAPTER for found in marks)
    if len(titles) < _MIN_PIECES or not _says_collection(name, paragraphs):
        return None
    by_markup = [paragraph.heading for _, paragraph in titles if paragraph.heading]
    if by_markup:
        level = next(
            (level for level in sorted(set(by_markup)) if by_markup.count(level) >= _MIN_PIECES), 0
        )
        pieces = [paragraph for _, paragraph in titles if paragraph.heading == level]
        gap = 0
    else:
        level = 0
        listed = [p for _, p in titles if title_key(p.text) in entries]
        pieces = listed or [paragraph for index, paragraph in titles if index]
        gaps = sorted(paragraph.gap for paragraph in pieces)
        gap = gaps[len(gaps) // 4] if gaps else 0
        pieces = [paragraph for paragraph in pieces if paragraph.gap >= gap]
    if len(pieces) < _MIN_PIECES or n_chapters > len(pieces):
        return None
    return Collection(level, gap)


def _is_part(text: str) -> bool:
    """A numbered heading is a part of what it stands in."""
    return is_numbered(text) or bool(_SUB_NUMBER.match(text))


def _says_collection(name: str, paragraphs: Sequence[Paragraph]) -> bool:
    if _COLLECTION.search(name.rpartition("/")[2].replace("_", " ").replace("-", " ")):
        return True
    for paragraph in paragraphs[:_FRONT_PARAGRAPHS]:
        if len(paragraph.text) > _MAX_FRONT_CHARACTERS:
            return False
        if _COLLECTION.search(paragraph.text) and paragraph.text[-1] not in SENTENCE_ENDS:
            return True
    return False
