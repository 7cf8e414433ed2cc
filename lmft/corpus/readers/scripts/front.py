"""What stands around the scenes of a script: cast lists, title pages, tables of contents."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from lmft.corpus.findings import Findings
from lmft.corpus.prose.line import Line
from lmft.corpus.readers.scripts.marks import is_act, is_cast_heading, is_heading, is_setting
from lmft.corpus.readers.scripts.turns import Turn


def drop_cast_lists(file: str, lines: Sequence[Line], findings: Findings) -> list[Line]:
    """Lines without the lists of persons.

    A list goes up to the next heading or to where and when the play is set, or, where no heading
    follows, to the first blank line.
    """
    kept: list[Line] = []
    last_heading = max((i for i, line in enumerate(lines) if is_heading(line.text)), default=-1)
    index = 0
    while index < len(lines):
        if not is_cast_heading(lines[index].text):
            kept.append(lines[index])
            index += 1
            continue
        end = index + 1
        while end < len(lines) and not lines[end].text.strip():
            end += 1
        while end < len(lines) and not is_heading(lines[end].text):
            blank_before = not lines[end - 1].text.strip()
            if blank_before and is_setting(lines[end].text):
                break
            if end > last_heading and not lines[end].text.strip():
                break
            end += 1
        text = "\n".join(line.text for line in lines[index:end])
        findings.drop(file, "cast list", text, lines[index].number, lines[end - 1].number)
        index = end
    return kept


def drop_front_matter(file: str, turns: Sequence[Turn], findings: Findings) -> list[Turn]:
    """Turns from the first scene on that is played.

    What stands before it is a title page, a preface or a table of contents; but the heading of
    an act directly above its first scene stays, and so does what says where and when the play is
    set. A script without headings stays whole.
    """
    scenes = [list(group) for _, group in groupby(turns, key=lambda turn: turn.scene)]
    played = [sum(turn.label is not None for turn in scene) for scene in scenes]
    first = next((index for index, speeches in enumerate(played) if speeches), None)
    if first is None or len(scenes) == 1:
        return list(turns)
    if _is_preface(scenes[first], scenes[first + 1 :]):
        first = next(index for index in range(first + 1, len(scenes)) if played[index])
    if first > 0 and _opens_act(scenes[first - 1], scenes[first]):
        first -= 1
    before = [turn for scene in scenes[:first] for turn in scene]
    for turn in before:
        if not turn.setting:
            text = "\n".join(turn.lines)
            last = turn.line + len(turn.lines) - 1
            findings.drop(file, "before the first scene", text, turn.line, last)
    settings = [turn for turn in before if turn.setting]
    return settings + [turn for scene in scenes[first:] for turn in scene]


def _is_preface(scene: Sequence[Turn], later: Sequence[Sequence[Turn]]) -> bool:
    """Without a heading, and whoever it quotes says nothing in the scenes that have one."""
    speakers = {turn.label for turn in scene if turn.label}
    others = {turn.label for scene in later if scene[0].heading for turn in scene if turn.label}
    return not scene[0].heading and bool(others) and speakers.isdisjoint(others)


def _opens_act(before: Sequence[Turn], scene: Sequence[Turn]) -> bool:
    """The heading of an act alone, above that of a scene."""
    return (
        len(before) == 1
        and before[0].heading
        and is_act(before[0].lines[0])
        and not is_act(scene[0].lines[0])
    )
