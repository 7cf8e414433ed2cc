"""How a script marks who speaks: found by counting, since no script says so."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from lmft.corpus.readers.scripts.labels import (
    MAX_LABEL_LINE,
    Kind,
    Label,
    follows_blank,
    is_indented,
    parse_label,
)
from lmft.corpus.readers.scripts.marks import is_slugline
from lmft.corpus.readers.scripts.names import is_capitals, is_proper
from lmft.corpus.readers.scripts.unwrap import has_long_lines

_INDENTED_BARE = re.compile(r"\s{2,}(?P<name>[^\W_][\w'’.&/#-]*(?<!_)) (?P<text>[^\W\d_].*)")
_USUALLY = 0.9


@dataclass(frozen=True)
class Layout:
    """Attributes:
    long_lines: paragraphs are not broken into lines, every line is one.
    after_blank, capitals, indented: what is true of nearly all names that recur. A name that
        stands once, and not like the others, is a word of somebody's speech.
    recurring: names as written that stand at least twice, with their number of speeches.
    """

    kind: Kind
    long_lines: bool
    after_blank: bool
    capitals: bool
    indented: bool
    recurring: Counter[str]

    @property
    def is_old_print(self) -> bool:
        """Indented names in small letters: abbreviated, and spelt as the printer liked."""
        return self.kind == "NAME. words" and self.indented and not self.capitals

    def label(self, lines: Sequence[str], index: int) -> Label | None:
        """The name with which line `index` begins, if it does."""
        label = parse_label(self.kind, lines, index)
        if label is None:
            return self._without_stop(lines, index)
        known = label.name in self.recurring
        if self.kind == "NAME: words" and not known and lines[index].lstrip().startswith("["):
            return None
        if not known and not is_proper(label.name):
            return None
        if self.indented and not is_indented(lines[index]):
            return None
        if not known and self.capitals and not is_capitals(label.name):
            return None
        if not known and self.after_blank and not follows_blank(lines, index):
            return None
        return label

    def _without_stop(self, lines: Sequence[str], index: int) -> Label | None:
        """`   Ros They say`: a printer's slip, certain where only names are indented."""
        if not self.is_old_print:
            return None
        match = _INDENTED_BARE.fullmatch(lines[index][:MAX_LABEL_LINE])
        if match is None or match["name"] not in self.recurring:
            return None
        return Label(match["name"], "", lines[index].lstrip()[len(match["name"]) :].strip())


def find_layout(lines: Sequence[str]) -> Layout | None:
    """The layout that finds most speakers, or None where no line looks like a speech."""
    counted = [(_count(kind, lines), kind) for kind in _KINDS]
    places, kind = max(counted, key=lambda pair: _votes(pair[0]))
    if not places:
        return None
    names = Counter(name for _, name in places)
    recurring = Counter({name: turns for name, turns in names.items() if turns > 1})
    where = [index for index, name in places if name in recurring] or [index for index, _ in places]

    def usually(holds: int) -> bool:
        return holds >= _USUALLY * len(where)

    by_index = dict(places)
    layout: Kind = kind
    if kind == "NAME on its own line" and any(is_slugline(line) for line in lines):
        layout = "screenplay"
    return Layout(
        kind=layout,
        long_lines=has_long_lines(lines),
        after_blank=usually(sum(follows_blank(lines, index) for index in where)),
        capitals=usually(sum(is_capitals(by_index[index]) for index in where)),
        indented=usually(sum(is_indented(lines[index]) for index in where)),
        recurring=recurring,
    )


_KINDS: tuple[Kind, ...] = ("NAME: words", "NAME on its own line", "NAME. words")


def _count(kind: Kind, lines: Sequence[str]) -> list[tuple[int, str]]:
    found = ((index, parse_label(kind, lines, index)) for index in range(len(lines)))
    return [(index, label.name) for index, label in found if label is not None]


def _votes(places: Sequence[tuple[int, str]]) -> tuple[int, int]:
    """Speeches by names that recur, and by all; a sentence at a line's start is no name."""
    proper = Counter(name for _, name in places if is_proper(name))
    return sum(turns for turns in proper.values() if turns > 1), proper.total()
