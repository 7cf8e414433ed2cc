"""Paragraphs to stories and their scenes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from lmft.corpus.prose.blocks import SENTENCE_ENDS
from lmft.corpus.prose.collection import Collection
from lmft.corpus.prose.headings import HEADINGS, Mark
from lmft.corpus.prose.parts import Piece
from lmft.corpus.prose.unwrap import Paragraph

_MAX_FRONT_CHARACTERS = 80
_MAX_TITLE_PAGE_CHARACTERS = 200


class Placed(NamedTuple):
    """A paragraph, and the story and scene that it belongs to, both counted from 0."""

    story: int
    scene: int
    paragraph: Paragraph


class Scenes:
    """Counts stories and scenes through all of a text's windows."""

    def __init__(self, collection: Collection | None) -> None:
        self.n_stories = 1
        self._collection = collection
        self._scene = 0
        # Title pages are no scene: nothing begins a new one before there was prose.
        self._has_prose = False
        self._n_characters = 0
        self._after_break = False

    def place(self, paragraphs: Sequence[Paragraph], marks: Sequence[Mark]) -> Iterator[Placed]:
        """Where each paragraph of one window belongs."""
        beginnings = self._beginnings(paragraphs, marks)
        for index, (paragraph, mark) in enumerate(zip(paragraphs, marks, strict=True)):
            if self._has_prose:
                if index in beginnings:
                    self.n_stories += 1
                    self._start(scene=0)
                elif mark in HEADINGS or (self._after_break and mark is Mark.TEXT):
                    self._start(scene=self._scene + 1)
            if mark is Mark.TEXT and not self._has_prose:
                self._has_prose = self._is_prose(paragraph.text)
            self._after_break = mark is Mark.BREAK
            yield Placed(self.n_stories - 1, self._scene, paragraph)

    def _start(self, scene: int) -> None:
        self._scene = scene
        self._has_prose = False
        self._n_characters = 0
        self._after_break = False

    def _is_prose(self, text: str) -> bool:
        self._n_characters += len(text)
        return (
            len(text) > _MAX_FRONT_CHARACTERS
            or text[-1] in SENTENCE_ENDS
            or self._n_characters > _MAX_TITLE_PAGE_CHARACTERS
        )

    def _beginnings(self, paragraphs: Sequence[Paragraph], marks: Sequence[Mark]) -> set[int]:
        """Indices where a piece begins: its title, or the headings right above that."""
        if self._collection is None:
            return set()
        found: set[int] = set()
        for index, (paragraph, mark) in enumerate(zip(paragraphs, marks, strict=True)):
            if self._collection.begins_piece(paragraph, mark):
                while index and marks[index - 1] in HEADINGS:
                    index -= 1
                found.add(index)
        return found


def with_separators(placed: Iterable[Placed]) -> Iterator[tuple[int, int, Piece]]:
    """Story, scene and piece; the line ends between two paragraphs go with the first of them."""
    previous: Placed | None = None
    for current in placed:
        if previous is not None:
            yield _piece(previous, current)
        previous = current
    if previous is not None:
        yield _piece(previous, None)


def _piece(placed: Placed, following: Placed | None) -> tuple[int, int, Piece]:
    story, scene, paragraph = placed
    number, text = paragraph.number, paragraph.text
    if following is None or following.story != story:
        return story, scene, Piece(number, text, apart=True)
    apart = following.paragraph.gap > 0
    return story, scene, Piece(number, text + ("\n\n" if apart else "\n"), apart)
