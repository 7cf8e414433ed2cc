"""One story as lines to documents, one for each scene or part of a scene.

What is left out is in `findings`. What is kept is kept letter by letter; these clean-ups are all:

- space at line ends is removed, a run of blank lines becomes one blank line;
- a form feed becomes a blank line, a vertical tab a line end; other control characters but the
  tab are removed;
- hard-wrapped lines are joined with one space, after a dash and between Chinese or Japanese
  characters with none; the hyphen of a word broken at a line end goes, unless the word has it;
- in a hard-wrapped text, indentation of paragraphs is removed, that of verse is kept relative;
- Markdown's marks before a heading are removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter

from lmft.corpus.documents import Document, Kind
from lmft.corpus.findings import Findings
from lmft.corpus.prose.adventure import is_adventure
from lmft.corpus.prose.blocks import to_blocks
from lmft.corpus.prose.boilerplate import strip_boilerplate
from lmft.corpus.prose.clean import clean_lines
from lmft.corpus.prose.collection import find_collection
from lmft.corpus.prose.contents import drop_contents
from lmft.corpus.prose.headings import mark
from lmft.corpus.prose.hyphens import Words
from lmft.corpus.prose.line import Line
from lmft.corpus.prose.parts import Part, cut
from lmft.corpus.prose.scenes import Placed, Scenes, with_separators
from lmft.corpus.prose.unwrap import unwrap
from lmft.corpus.prose.wrapping import Layout, find_layout

# A last window so small joins the one before: a footer of 400 lines must not lie in two.
_SMALL_WINDOW_CHARACTERS = 512 << 10
_LARGE_WINDOW_CHARACTERS = 16 << 20


def story_documents(
    name: str, windows: Iterable[list[Line]], findings: Findings, *, wrapped: bool | None
) -> Iterator[Document]:
    """The documents of one story, or of a collection of pieces each of which ends.

    What must be known of the whole (layout, kind, whether it is a collection) is found in the
    first window. Two windows at most are held.

    Args:
        windows: consecutive lines, each window of up to some 8 MB; usually there is one.
        wrapped: False where line ends are meant, True where lines are surely wrapped, None to
            find out.
    """
    reading = _Reading(name, findings, wrapped)
    pieces = with_separators(reading.paragraphs(windows))
    held: tuple[int, int, Part] | None = None
    begins, single = True, True
    for (story, scene), group in groupby(pieces, key=itemgetter(0, 1)):
        for part in cut(piece for _, _, piece in group):
            if held is not None:
                single = False
                ends = held[0] != story
                yield reading.document(*held, begins=begins, ends=ends, single=False)
                begins = ends
            held = (story, scene, part)
    if held is not None:
        yield reading.document(*held, begins=begins, ends=True, single=single)
    if reading.n_stories > 1:
        findings.note(f"{name}: a collection of {reading.n_stories} pieces; each one ends")


class _Reading:
    """What is known of the story while its windows go by."""

    def __init__(self, name: str, findings: Findings, wrapped: bool | None) -> None:
        self.n_stories = 0
        self._name = name
        self._findings = findings
        self._wrapped = wrapped
        self._kind: Kind = "story"
        self._from_line_1 = True

    def paragraphs(self, windows: Iterable[list[Line]]) -> Iterator[Placed]:
        layout: Layout | None = None
        entries: frozenset[str] = frozenset()
        scenes: Scenes | None = None
        gap = 0
        first = True
        for window, last in _with_last(windows):
            if first:
                self._from_line_1 = not window or window[0].number <= 1
            lines = strip_boilerplate(
                self._name,
                clean_lines(window),
                self._findings,
                first=first,
                last=last,
                paged=self._wrapped is not False,
            )
            if first:
                lines, entries = drop_contents(self._name, lines, self._findings)
            first = False
            blocks, gap = to_blocks(lines, gap)
            if not blocks:
                continue
            if scenes is None and self._wrapped is not False:
                layout = find_layout(blocks, wrapped=self._wrapped)
            paragraphs = unwrap(blocks, layout, Words(line.text for line in lines))
            marks = list(mark(paragraphs, entries, gap_after=1 if last else gap))
            if scenes is None:
                self._kind = "adventure" if is_adventure(paragraphs) else "story"
                scenes = Scenes(find_collection(self._name, paragraphs, marks, entries))
            yield from scenes.place(paragraphs, marks)
            self.n_stories = scenes.n_stories

    def document(
        self, story: int, scene: int, part: Part, *, begins: bool, ends: bool, single: bool
    ) -> Document:
        whole = single and self._from_line_1
        return Document(
            source=self._name if whole else f"{self._name}:{part.number}",
            kind=self._kind,
            text=part.text,
            begins=begins,
            ends=ends,
            scene=scene,
        )


def _with_last(windows: Iterable[list[Line]]) -> Iterator[tuple[list[Line], bool]]:
    """Each window, and whether it is the last."""
    held: list[Line] | None = None
    size = 0
    for window in windows:
        n_characters = sum(len(line.text) for line in window)
        if held is None:
            held, size = window, n_characters
        elif n_characters <= _SMALL_WINDOW_CHARACTERS and size <= _LARGE_WINDOW_CHARACTERS:
            held, size = held + window, size + n_characters
        else:
            yield held, False
            held, size = window, n_characters
    if held is not None:
        yield held, True
