"""One name for each speaker of a script: `Ros.`, `Rosa.` and `ROSALIND` are Rosalind.

Old plays abbreviate as the line allows and spell as the printer likes. The full names are in
their stage directions (`Enter Rosaline for Ganimed, Celia for Aliena`).
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise

from lmft.corpus.readers.scripts.spelling import (
    begins,
    begins_a_word,
    is_alike,
    is_misprint,
    is_same,
)
from lmft.corpus.readers.scripts.turns import Turn

# A person in one scene: `Ol.` is Oliver in one and Sir Oliver Martext in another.
Place = tuple[int, str]

_ENTRANCE = re.compile(r"\bEnter\b[:,]?(.*?)(?:\.(?=\s|$)(?!\s*&)|$)", re.IGNORECASE | re.DOTALL)
_CAPITALIZED = r"[^\W\d_a-z][\w'’-]*\.?"
_ENTERING = re.compile(
    r"(?P<number>\b(?:two|three|foure?|fiue|five|six|other|diuers|divers|certaine?)\s+)?"
    rf"(?P<name>(?:\b(?:le|la|de|du)\s+)?{_CAPITALIZED}(?:[ \n]{_CAPITALIZED})*)"
)
# All labels are compared with all names; a play has a tenth of this.
_MAX_SPEAKERS = 400


def one_name_each(turns: Sequence[Turn], *, abbreviated: bool) -> dict[Place, str]:
    """The name of each label of `turns` in each scene.

    Labels that differ in capitals only are one speaker, named as most often. Where labels may be
    abbreviated, one that begins only one full name of the scene's stage directions, else of all
    stage directions, gets that name; else the longest label that it begins. One that stands once
    and is one letter off another of its scene is a misprint of it. What is ambiguous stays as
    written, and so do two labels that answer each other.
    """
    places = Counter((turn.scene, turn.label) for turn in turns if turn.label is not None)
    if not abbreviated or len({label for _, label in places}) > _MAX_SPEAKERS:
        spelling = _commonest_spelling(turns)
        return {place: spelling[place[1].casefold()] for place in places}
    names = _Names(turns)
    found = {place: names.resolve(*place) for place in places}
    labels = Counter(turn.label for turn in turns if turn.label is not None)
    unresolved = sorted({label for (_, label), name in found.items() if name is None})
    longest = {label: _longest(label, unresolved, labels) for label in unresolved}
    for (scene, label), name in found.items():
        if name is None:
            found[scene, label] = longest[label]
            if labels[label] == 1 and longest[label] == label:
                others = {
                    other: full for (at, other), full in found.items() if at == scene and full
                }
                found[scene, label] = _misprint(label, others) or label
    return _apart(turns, {place: name or place[1] for place, name in found.items()}, labels)


def unified_forms(names: dict[Place, str]) -> str:
    """`Celia (Cel, Cellia); ...` for the report; empty where every label is a name as it stands."""
    forms: defaultdict[str, set[str]] = defaultdict(set)
    for (_, label), name in names.items():
        forms[name].add(label)
    return "; ".join(
        f"{name} ({', '.join(sorted(labels))})"
        for name, labels in sorted(forms.items())
        if labels != {name}
    )


def named_twice(turns: Sequence[Turn], names: dict[Place, str]) -> list[int]:
    """Lines that name the speaker of the speech directly before: in print, most are misprints."""
    return [
        turn.line
        for before, turn in pairwise(turns)
        if before.label is not None
        and turn.label is not None
        and before.scene == turn.scene
        and names[before.scene, before.label] == names[turn.scene, turn.label]
    ]


class _Names:
    """Full names in stage directions, by scene and of the whole file."""

    def __init__(self, turns: Sequence[Turn]) -> None:
        self._by_scene: defaultdict[int, list[str]] = defaultdict(list)
        self._counts: Counter[str] = Counter()
        self._canonicals: dict[str, str] = {}
        groups: set[str] = set()
        for turn in turns:
            if turn.label is None:
                for name, is_group in _entering("\n".join(turn.lines)):
                    self._by_scene[turn.scene].append(name)
                    self._counts[name] += 1
                    if is_group:
                        groups.add(name)
        # A `Lord` is one of the `two or three Lords`, not short for them.
        for name in groups:
            del self._counts[name]
        self._everywhere = [name for name, _ in self._counts.most_common(_MAX_SPEAKERS)]
        kept = set(self._everywhere)
        for scene, names in self._by_scene.items():
            self._by_scene[scene] = sorted(kept.intersection(names))

    def resolve(self, scene: int, label: str) -> str | None:
        here, everywhere = self._by_scene[scene], self._everywhere
        for names, test in (
            (everywhere, is_same),
            (here, begins),
            (here, begins_a_word),
            (everywhere, begins),
        ):
            found = {self._canonical(name) for name in names if test(label, name)}
            if found:
                name = found.pop()
                return None if found else name
        return None

    def _canonical(self, name: str) -> str:
        """The commonest of the spellings of a name, the longest where two are as common."""
        if name not in self._canonicals:
            alike = [other for other in self._everywhere if is_alike(name, other)]
            self._canonicals[name] = max(
                alike, key=lambda other: (self._counts[other], len(other), other)
            )
        return self._canonicals[name]


def _entering(direction: str) -> Iterable[tuple[str, bool]]:
    """Who enters, and whether it is a number of people."""
    for entrance in _ENTRANCE.findall(direction):
        for match in _ENTERING.finditer(entrance):
            yield " ".join(match["name"].split()).rstrip("."), match["number"] is not None


def _longest(label: str, labels: Sequence[str], counts: Counter[str]) -> str:
    longer = [other for other in labels if begins(label, other)]
    top = max(longer, key=lambda other: (len(other), counts[other], other), default=label)
    return top if all(begins(other, top) for other in longer) else label


def _misprint(label: str, others: dict[str, str]) -> str | None:
    found = {name for other, name in others.items() if is_misprint(label, other)}
    return found.pop() if len(found) == 1 else None


def _apart(
    turns: Sequence[Turn], names: dict[Place, str], labels: Counter[str]
) -> dict[Place, str]:
    """Two labels of one name that answer each other are two people: one keeps its own."""
    for one, other in pairwise(turns):
        if one.label is None or other.label is None or one.label == other.label:
            continue
        name = names[one.scene, one.label]
        if one.scene == other.scene and name == names[other.scene, other.label]:
            short = [label for label in (one.label, other.label) if label != name]
            rarer = min(short, key=lambda label: (labels[label], label))
            names.update({place: rarer for place in names if place[1] == rarer})
    return names


def _commonest_spelling(turns: Sequence[Turn]) -> dict[str, str]:
    counts = Counter(turn.label for turn in turns if turn.label is not None)
    spelling: dict[str, str] = {}
    for label in sorted(counts, key=lambda label: (-counts[label], label)):
        spelling.setdefault(label.casefold(), label)
    return spelling
