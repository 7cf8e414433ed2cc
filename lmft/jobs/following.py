"""A training as it goes on: what its run's files say, as events, each of them once.

An attempt that goes on from a checkpoint trains some steps again and writes their rows again.
What was said of a step is said already, whichever attempt it was.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lmft import paths
from lmft.device.records import Claim
from lmft.device.registered import living
from lmft.ids import AdapterId
from lmft.jobs.job import Event, Said

Row = dict[str, Any]
# lmft.train.watch.record and lmft.train.durable.runs name them; neither can be imported lightly.
METRICS, SAMPLES, REACHED = "metrics.jsonl", "samples.jsonl", "reached"
# Of one look: a run that a worker finds half done says the rest with the next ones.
_MOST_ROWS = 1000


@dataclass
class Tail:
    """The whole lines of a file that grows, or is replaced by another one."""

    path: Path
    _file: int = 0
    _offset: int = 0

    def rows(self) -> Iterator[Row]:
        """Those that were not given yet; of a file that was replaced, all."""
        try:
            with self.path.open("rb") as lines:
                number = os.fstat(lines.fileno()).st_ino
                if number != self._file:
                    self._file, self._offset = number, 0
                lines.seek(self._offset)
                for line in lines:
                    # The rest of it is being written.
                    if not line.endswith(b"\n"):
                        return
                    self._offset += len(line)
                    yield json.loads(line)
        except FileNotFoundError:
            return


@dataclass
class Follower:
    """Args:
    adapter: of the job; its run has that directory.
    steps: of the whole training, for people.
    """

    adapter: AdapterId
    steps: int | None
    _said: set[tuple[Any, ...]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.directory = paths.runs_dir() / self.adapter.directory
        self._metrics, self._samples = (Tail(self.directory / name) for name in (METRICS, SAMPLES))

    def remember(self, events: Iterable[Event]) -> None:
        """What earlier attempts have said."""
        for event in events:
            if event.data is not None:
                self._said.add(_of_event(event))

    def new(self) -> list[Said]:
        """What is not said yet, oldest first."""
        found = [
            *_taken(self._metrics, self._said, _of_row, self._of_metrics),
            *_taken(self._samples, self._said, _of_sample, _sample_said),
        ]
        return sorted(found, key=_step_of)

    def step(self) -> int | None:
        """How many steps are done; None before training."""
        try:
            text = (self.directory / REACHED).read_bytes().strip()
        except OSError:
            return None
        return int(text) if text.isdigit() else None

    def ends_at(self) -> int | None:
        """Unix seconds, as far as the trainer can foresee it."""
        for claim in living(Claim):
            if claim.what == self.adapter.directory:
                return int(claim.ends_at)
        return None

    def _of_metrics(self, row: Row) -> Said:
        measured = [f"step={row['step']}"]
        if "loss" in row:
            measured = [f"training loss={row['loss']:.2f}"]
        if "heldout_loss" in row:
            measured = [f"validation loss={row['heldout_loss']:.2f}"]
        of = "" if self.steps is None else f"/{self.steps}"
        message = f"Step {row['step']}{of}: {', '.join(measured)}"
        return Said(message, data=row, type="metrics")


def _taken(
    tail: Tail,
    said: set[tuple[Any, ...]],
    key_of: Callable[[Row], tuple[Any, ...]],
    event_of: Callable[[Row], Said],
) -> Iterator[Said]:
    for count, row in enumerate(tail.rows()):
        key = key_of(row)
        if key not in said:
            said.add(key)
            yield event_of(row)
        if count >= _MOST_ROWS:
            return


def _of_row(row: Row) -> tuple[Any, ...]:
    return ("heldout" if "heldout_loss" in row else "loss", row["step"])


def _of_sample(row: Row) -> tuple[Any, ...]:
    return ("sample", row["step"], row.get("seed"))


def _of_event(event: Event) -> tuple[Any, ...]:
    data = event.data or {}
    if event.type == "metrics":
        return _of_row(data)
    sample = data.get("sample")
    return _of_sample(sample) if isinstance(sample, dict) else ()


def _sample_said(row: Row) -> Said:
    return Said(f"A sample of step {row['step']}", data={"sample": row})


def _step_of(said: Said) -> int:
    data = said.data or {}
    return int(data["step"] if "step" in data else data["sample"]["step"])
