"""What a run leaves behind as it goes: rows of metrics and samples, TensorBoard's file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lmft.train.planning.plan import Plan
from lmft.train.watch.clock import Clock
from lmft.train.watch.history import History
from lmft.train.watch.journal import Journal, Row
from lmft.train.watch.memory import peak_memory_bytes
from lmft.train.watch.tensorboard import EventFile

METRICS, SAMPLES, TENSORBOARD = "metrics.jsonl", "samples.jsonl", "tensorboard"


class Record:
    """The files of one run, and what they say of its earlier attempts.

    Attributes:
        clock: seconds of training. samples: rows of samples.jsonl.
        tokens_per_step: of all processes together.
    """

    def __init__(
        self, directory: Path, plan: Plan, n_blocks: int, resumed_at: int | None, *, writes: bool
    ) -> None:
        """`n_blocks`: of one epoch."""
        self.tokens_per_step = plan.step_tokens
        self._epochs_per_step = plan.batch_blocks / n_blocks
        self._directory, self._plan = directory, plan
        self._resumed_at, self._writes = resumed_at, writes

    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        """The files are open inside; what is beyond the checkpoint is gone from them."""
        at = self._resumed_at
        with contextlib.ExitStack() as stack:
            self._metrics = Journal(self._directory / METRICS, at, writes=self._writes)
            stack.callback(self._metrics.close)
            self._samples = Journal(self._directory / SAMPLES, at, writes=self._writes)
            stack.callback(self._samples.close)
            self._events = EventFile(self._directory / TENSORBOARD, at) if self._writes else None
            if self._events:
                stack.callback(self._events.close)
            rows = self._metrics.rows
            self.clock = Clock(max((row["seconds"] for row in rows), default=0.0))
            self._peak = max((row.get("peak_memory_bytes", 0) for row in rows), default=0)
            yield

    @property
    def peak_memory_bytes(self) -> int:
        """Of all attempts at this run."""
        return max(self._peak, peak_memory_bytes(self._plan.device))

    @property
    def samples(self) -> list[Row]:
        return self._samples.rows

    @property
    def history(self) -> History:
        return History.of(self._metrics.rows, self._plan.steps)

    def is_evaluated(self, step: int) -> bool:
        return any("heldout_loss" in row and row["step"] == step for row in self._metrics.rows)

    def row(self, state: Any, **values: Any) -> Row:
        """A row of metrics for the step that the trainer's `state` is at."""
        return {
            "step": state.global_step,
            "epoch": round(state.global_step * self._epochs_per_step, 4),
            "tokens": state.global_step * self.tokens_per_step,
            "seconds": round(self.clock.seconds, 3),
            **values,
        }

    def keep(self, row: Row) -> None:
        self._metrics.add(row)
        if self._events:
            self._events.add(row)

    def keep_sample(self, row: Row) -> None:
        self._samples.add(row)
