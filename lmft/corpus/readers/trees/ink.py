"""Ink's compiled stories (`.ink.json`): followed from choice to choice and told as transcripts."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from lmft.corpus.decode import Unreadable
from lmft.corpus.documents import Document
from lmft.corpus.findings import Findings
from lmft.corpus.readers.reader import Reader
from lmft.corpus.readers.rows.strict_json import JsonFault, parse
from lmft.corpus.readers.trees.actions import action_line
from lmft.corpus.readers.trees.ink_calls import Frame, Option, Return
from lmft.corpus.readers.trees.ink_container import Container, Place, everything, load, resolve
from lmft.corpus.readers.trees.ink_machine import Machine
from lmft.corpus.readers.trees.ink_text import goes_on, tidy, without_echo
from lmft.corpus.readers.trees.tree import Choice, Passage, tell
from lmft.corpus.source import SourceFile

# Below what Python's parser can recurse, with room for who calls this.
_MAX_DEPTH = 600
# The machine takes about 10 s for these; a long game needs some 100,000.
_MAX_STEPS = 1_000_000
_PASSAGE_STEPS = 50
_MAX_PASSAGE_STEPS = 20_000
_CHARACTERS_A_STEP = 64
_VERSION = re.compile(r'\A\s*\{\s*"inkVersion"\s*:\s*\d+\s*,\s*"root"\s*:\s*\[')


def sniff(source: SourceFile) -> str | None:
    return "has Ink's `inkVersion` and `root`" if _VERSION.match(source.head_text) else None


def read(source: SourceFile, findings: Findings) -> Iterator[Document]:
    """The story's ways from its beginning, then those from knots that only a running game
    enters.

    Raises:
        Unreadable: not Ink's JSON, or no text in it.
    """
    try:
        data = parse(source.text(), max_depth=_MAX_DEPTH)
    except JsonFault as fault:
        raise Unreadable(str(fault), line=fault.line) from fault
    root = data.get("root") if isinstance(data, dict) else None
    if not isinstance(root, list):
        raise Unreadable("no Ink story in it: `root` must be a list; compile the story again")
    story = _Story(load(root))
    starts = [story.explore(Place(story.top, 0))]
    starts += [story.explore(Place(knot, 0)) for knot in story.untold_knots()]
    if not any(passage.text for passage in story.passages.values()):
        raise Unreadable("an Ink story without text")
    if story.n_unknown:
        findings.note(
            f"{source.name}: {story.n_unknown:,} values in the Ink story are known only while it "
            "is played; they are left out"
        )
    if story.n_steps >= _MAX_STEPS:
        findings.note(f"{source.name}: the Ink story is too large to follow to all its ends")
    yield from tell(story.passages, starts, source.name, findings)
    for container in everything(story.top):
        if not container.told and container.text.strip():
            reason = "Ink text that is not told on a first visit"
            findings.drop(source.name, reason, container.text, 0, 0)


@dataclass
class _Story:
    top: Container
    passages: dict[str, Passage] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    n_unknown: int = 0
    n_steps: int = 0

    def __post_init__(self) -> None:
        if (declared := self.top.named.get("global decl")) is not None:
            self.values = self._run(Place(declared, 0), ()).values

    def explore(self, start: Place) -> str:
        """Add the passages that `start` leads to; the key of its own."""
        waiting = deque([(start, tuple[Return, ...](), "")])
        while waiting and self.n_steps < _MAX_STEPS:
            place, tunnels, words = waiting.popleft()
            if (key := _key(place, tunnels)) in self.passages:
                continue
            machine = self._run(place, tunnels)
            self.n_unknown += machine.n_unknown
            choices = []
            for option in sorted(machine.options, key=lambda option: not option.words):
                choices.append(Choice(action_line(tidy(option.words)), _target(option)))
                if option.place is not None:
                    waiting.append((option.place, option.tunnels, option.words))
            told = "".join(machine.out)
            text = without_echo(tidy(told), tidy(words))
            inline = goes_on(told)
            self.passages[key] = Passage(text, tuple(choices), inline=inline)
        return _key(start, ())

    def untold_knots(self) -> Iterator[Container]:
        """Knots and stitches that something leads to, but for functions, in the file's order.

        Lazy: one that was explored may have told the next.
        """
        ways: dict[Container, bool] = {}
        for container in everything(self.top):
            for item in container.content:
                for key in ("->", "^->", "->t->", "f()"):
                    path = item.get(key) if isinstance(item, dict) else None
                    if isinstance(path, str) and (place := resolve(path, container, self.top)):
                        ways[place.container] = key != "f()" and ways.get(place.container, True)
        for knot in self.top.named.values():
            for container in (knot, *knot.named.values()):
                told = any(inner.told for inner in everything(container))
                if ways.get(container) and not told:
                    yield container

    def _run(self, place: Place, tunnels: tuple[Return, ...]) -> Machine:
        frames = [Frame(), *(Frame(back) for back in tunnels)]
        machine = Machine(self.top, place, dict(self.values), frames)
        steps = _PASSAGE_STEPS
        while machine.here is not None and steps < _MAX_PASSAGE_STEPS:
            steps += 1 + machine.step(machine.here) // _CHARACTERS_A_STEP
        self.n_steps += steps
        return machine


def _key(place: Place, tunnels: tuple[Return, ...]) -> str:
    """The same for the same place in the same tunnels."""
    places = (place, *(back.place for back in tunnels))
    return ">".join(f"{container.path}:{index}" for container, index in places)


def _target(option: Option) -> str:
    return _key(option.place, option.tunnels) if option.place is not None else option.path


READER = Reader("Ink story", sniff, read)
