"""Plays, screenplays, game scripts and transcripts as plain text or Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise

from lmft.corpus.cast import speaker_name
from lmft.corpus.decode import Unreadable
from lmft.corpus.documents import Document, Message
from lmft.corpus.findings import Findings
from lmft.corpus.prose.boilerplate import strip_boilerplate
from lmft.corpus.prose.line import Line
from lmft.corpus.readers.reader import Reader
from lmft.corpus.readers.scripts.front import drop_cast_lists, drop_front_matter
from lmft.corpus.readers.scripts.labels import Kind
from lmft.corpus.readers.scripts.layout import Layout, find_layout
from lmft.corpus.readers.scripts.marks import is_direction
from lmft.corpus.readers.scripts.speakers import named_twice, one_name_each, unified_forms
from lmft.corpus.readers.scripts.turns import Turn, read_turns
from lmft.corpus.readers.scripts.unwrap import Unwrap
from lmft.corpus.readers.turns import join_turns
from lmft.corpus.source import SourceFile

_MAX_LINES_SHOWN = 20

_HEADER_END = re.compile(r"^\W*(?:START OF TH\w+ PROJECT GUTENBERG|END\W+THE SMALL PRINT).*$", re.M)
# What other formats have and no script has: turns of a text adventure, passages of Twine, tags.
_FOREIGN = re.compile(r"^(?:> |:: |<\||</?\w+[^>]*>|[{}])", re.M)
_PUNCTUATION = re.compile(r"[.,;!?…。，！？]")
_MIN_SPEECHES = 6
# Of all paragraphs but headings and directions. A screenplay has its action between speeches.
_MIN_LABELLED: dict[Kind, float] = {
    "NAME: words": 0.6,
    "NAME. words": 0.6,
    "NAME on its own line": 0.6,
    "screenplay": 0.3,
}
_MIN_LABELLED_LINES = 0.08
_MIN_RECURRING = 0.7
_MIN_ALTERNATION = 0.5
_MIN_PUNCTUATED = 0.5
_CYCLE = 0.9
_MAX_FOREIGN = 0.02


def sniff(source: SourceFile) -> str | None:
    """Several speakers that come back and take turns in most of the text."""
    head = source.head_text
    if "\0" in head[:1024]:
        return None
    for mark in _HEADER_END.finditer(source.head_text):
        head = source.head_text[mark.end() :]
    lines = head.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    layout = find_layout(lines)
    if layout is None or len(_FOREIGN.findall(head)) > _MAX_FOREIGN * len(lines):
        return None
    return _reason(layout) if _is_script(lines, layout) else None


def _is_script(lines: Sequence[str], layout: Layout) -> bool:
    found = [(index, layout.label(lines, index)) for index in range(len(lines))]
    labels = {index: label for index, label in found if label is not None}
    names = [label.name for label in labels.values()]
    recurring = [name for name in names if name in layout.recurring]
    if len(recurring) < _MIN_SPEECHES or len(set(recurring)) < 2:
        return False
    filled = [index for index, line in enumerate(lines) if line.strip()]
    paragraphs = sum(
        index not in labels
        and (index == 0 or layout.long_lines or not lines[index - 1].strip())
        and not is_direction(lines[index])
        for index in filled
    )
    changes = sum(one != other for one, other in pairwise(names))
    speeches = [label.text for label in labels.values() if label.text]
    punctuated = sum(_PUNCTUATION.search(text) is not None for text in speeches)
    return (
        len(labels) >= _MIN_LABELLED[layout.kind] * (len(labels) + paragraphs)
        and len(labels) >= _MIN_LABELLED_LINES * len(filled)
        and len(recurring) >= _MIN_RECURRING * len(names)
        and changes >= _MIN_ALTERNATION * (len(names) - 1)
        and punctuated >= _MIN_PUNCTUATED * len(speeches)
        and not _is_cycle(names)
    )


def _is_cycle(names: Sequence[str]) -> bool:
    """Three or more names always in one order are the fields of records."""
    period = len(set(names))
    same = sum(names[index] == names[index - period] for index in range(period, len(names)))
    return period > 2 and same >= _CYCLE * (len(names) - period)


def _reason(layout: Layout) -> str:
    first, second = (name for name, _ in layout.recurring.most_common(2))
    return f"{len(layout.recurring)} speakers take turns, {first} and {second} most ({layout.kind})"


def read(source: SourceFile, findings: Findings) -> Iterator[Document]:
    """Raises Unreadable where nobody speaks."""
    lines = [Line(number, text) for number, text in enumerate(source.text().split("\n"), 1)]
    lines = strip_boilerplate(source.name, lines, findings, first=True, last=True)
    lines = drop_cast_lists(source.name, lines, findings)
    layout = find_layout([line.text for line in lines])
    if layout is None:
        raise Unreadable("nobody speaks in it; lines such as `NAME: words` make a script")
    turns = list(read_turns(source.name, lines, layout, findings))
    turns = drop_front_matter(source.name, turns, findings)
    names = one_name_each(turns, abbreviated=layout.is_old_print)
    if forms := unified_forms(names):
        findings.note(f"{source.name}: one speaker each: {forms}")
    if layout.is_old_print and (twice := named_twice(turns, names)):
        shown = ", ".join(map(str, twice[:_MAX_LINES_SHOWN]))
        more = " and more" if len(twice) > _MAX_LINES_SHOWN else ""
        findings.note(
            f"{source.name}: the same speaker is named twice running at line {shown}{more}; "
            "kept as written, check there for a misprinted name"
        )
    # A screenplay's speeches are narrower than its action.
    narration = Unwrap(line for turn in turns if not turn.label for line in turn.lines)
    speech = Unwrap(line for turn in turns if turn.label for line in turn.lines)
    for number, scene in enumerate(_scenes(turns)):
        said = [
            (
                turn.line,
                Message("user", speech(turn.lines), speaker_name(names[turn.scene, turn.label])),
            )
            if turn.label
            else (turn.line, Message("system", narration(turn.lines)))
            for turn in scene
        ]
        spoken = [(line, message) for line, message in said if message.content]
        if spoken:
            yield Document(
                f"{source.name}:{spoken[0][0]}",
                kind="chat",
                messages=join_turns(message for _, message in spoken),
                scene=number,
                uncast=True,
            )


def _scenes(turns: Sequence[Turn]) -> Iterator[list[Turn]]:
    """Scenes in which somebody speaks; the others open the next one, or close the last."""
    pending: list[Turn] = []
    scene: list[Turn] = []
    for _, group in groupby(turns, key=lambda turn: turn.scene):
        pending += group
        if any(turn.label for turn in pending):
            if scene:
                yield scene
            scene, pending = pending, []
    yield scene + pending


READER = Reader("script", sniff, read)
