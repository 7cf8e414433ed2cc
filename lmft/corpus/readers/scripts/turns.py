"""Lines of a script to turns: what is said, what is narrated, what is neither."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from lmft.corpus.findings import Findings
from lmft.corpus.prose.line import Line
from lmft.corpus.readers.scripts.directions import Directions
from lmft.corpus.readers.scripts.labels import Label
from lmft.corpus.readers.scripts.layout import Layout
from lmft.corpus.readers.scripts.marks import (
    is_end_mark,
    is_heading,
    is_leaving,
    is_page_mark,
    is_separator,
    is_setting,
    is_song,
)

# Camera and page notes beside a name; every other aside says how a line is spoken.
_TECHNICAL = re.compile(
    r"[(\[](?:V\.?\s?O\.?|O\.?\s?[SC]\.?|CONT['’]?D\.?|CONTINUED|CONTINUING)[)\]]", re.IGNORECASE
)


@dataclass
class Turn:
    """Attributes:
    line: number in the file where it starts.
    label: the name as written; None for narration.
    scene: from 0, one more at each heading.
    lines: as in the file, without the name; `""` parts paragraphs.
    setting: it says where and when the play is set.
    """

    line: int
    label: str | None
    scene: int
    lines: list[str] = field(default_factory=list)
    heading: bool = False
    setting: bool = False


def read_turns(
    file: str, lines: Sequence[Line], layout: Layout, findings: Findings
) -> Iterator[Turn]:
    """The turns of a script in order; what is neither speech nor narration goes to `findings`."""
    return _Reader(file, lines, layout, findings).turns()


class _Reader:
    def __init__(
        self, file: str, lines: Sequence[Line], layout: Layout, findings: Findings
    ) -> None:
        self._file, self._lines, self._layout, self._findings = file, lines, layout, findings
        self._texts = [line.text for line in lines]
        self._directions = Directions(self._texts, layout)
        self._scene = 0
        self._turn: Turn | None = None
        self._speaker: str | None = None
        self._before: str | None = None
        self._new_paragraph = True

    def turns(self) -> Iterator[Turn]:
        index, last = 0, None
        while index < len(self._lines):
            index = self._step(index)
            if self._turn is not last:
                if last is not None:
                    yield last
                last = self._turn
        if last is not None:
            yield last

    def _step(self, index: int) -> int:
        """Take line `index`, and those that belong to it; returns the next."""
        text = self._texts[index]
        blank_before = self._new_paragraph
        self._new_paragraph = False
        if not text.strip():
            self._new_paragraph = True
            if self._layout.kind == "screenplay":
                self._speaker = None
        elif is_heading(text):
            self._open_scene(index)
        elif reason := self._dropped(text):
            self._findings.drop(self._file, reason, text, *([self._lines[index].number] * 2))
            self._new_paragraph = True
        elif self._directions.begins(index, after_blank=blank_before):
            return self._narrate(index)
        elif label := self._layout.label(self._texts, index):
            self._speak(index, label)
        else:
            self._continue(index, blank_before)
        return index + 1

    def _dropped(self, text: str) -> str | None:
        if is_end_mark(text):
            return "end mark"
        if is_separator(text):
            self._scene += 1
            self._speaker = self._before = self._turn = None
            return "separator line"
        if self._layout.kind == "screenplay" and is_page_mark(text):
            return "page mark"
        return None

    def _open_scene(self, index: int) -> None:
        self._scene += 1
        self._speaker = self._before = None
        self._turn = Turn(self._lines[index].number, None, self._scene, heading=True)
        self._turn.lines.append(self._texts[index])
        self._new_paragraph = True

    def _narrate(self, index: int) -> int:
        text = self._texts[index]
        end, setting = self._directions.end(index), is_setting(text)
        turn = self._turn
        if turn is None or turn.label is not None or turn.heading or turn.setting or setting:
            turn = Turn(self._lines[index].number, None, self._scene, setting=setting)
            self._turn = turn
        turn.lines += self._texts[index:end]
        if is_leaving(text):
            # Who has gone says nothing more: the other one of the dialogue does.
            self._speaker, self._before = self._before or self._speaker, None
        elif is_song(text):
            self._speaker = None
        return end

    def _speak(self, index: int, label: Label) -> None:
        if self._speaker not in (None, label.name):
            self._before = self._speaker
        self._speaker = label.name
        self._turn = Turn(self._lines[index].number, label.name, self._scene)
        aside = "" if _TECHNICAL.fullmatch(label.aside) else label.aside
        first = f"{aside} {label.text}".strip()
        if first:
            self._turn.lines.append(first)

    def _continue(self, index: int, blank_before: bool) -> None:
        turn = self._turn
        if turn is None or turn.label != self._speaker or turn.heading or turn.setting:
            turn = self._turn = Turn(self._lines[index].number, self._speaker, self._scene)
        elif blank_before and turn.lines:
            turn.lines.append("")
        turn.lines.append(self._texts[index])
