"""What a person and a file are told of each step."""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
from pathlib import Path
from typing import Self

from rich.console import Console

from lmft import paths
from lmft.errors import DivergedError
from lmft.train.watch.bar import Bar, Figures

_SMOOTHED_STEPS = 20


class Watch:
    """Context manager: a bar on the console, a line a step in `metrics.jsonl`.

    Args:
        first: the step that this attempt begins with; what the file says of later ones goes.
        before: seconds of the attempts before this one.
    """

    def __init__(
        self, file: Path, console: Console, steps: int, step_tokens: int, first: int, before: float
    ) -> None:
        self._folder = file.parent
        with paths.disk_errors(self._folder):
            _cut(file, first)
            self._file = file.open("a", encoding="utf-8")
        self._bar = Bar(console, steps)
        self._steps, self._step_tokens, self._first = steps, step_tokens, first
        self._before = before
        self._began = time.monotonic()
        self._smoothed: float | None = None
        self._heldout: float | None = None

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
        # What is under way says it better.
        with contextlib.suppress(OSError):
            self._file.close()

    @property
    def seconds(self) -> float:
        """Of all attempts."""
        return self._before + time.monotonic() - self._began

    def measured(self, step: int, heldout: float) -> None:
        """Args: heldout: nats per byte, before that step."""
        self._heldout = heldout
        self._write({"step": step, "heldout_nats_per_byte": round(heldout, 5)})

    def stepped(self, step: int, loss: float) -> None:
        """`step` steps are done; `loss` in nats per token. Raises DivergedError: no number."""
        if not math.isfinite(loss):
            raise DivergedError(
                f"Training diverged: the loss is {loss} at step {step}.",
                "Lower training.learning_rate, and give a new folder with --out.",
            )
        self._write({"step": step, "loss": round(loss, 4), "seconds": round(self.seconds)})
        done = step - self._first
        kept = loss if self._smoothed is None else self._smoothed
        self._smoothed = kept + (loss - kept) / min(done, _SMOOTHED_STEPS)
        steps_per_second = done / (time.monotonic() - self._began)
        self._bar.show(
            Figures(
                step,
                self._steps,
                loss=self._smoothed,
                heldout=self._heldout,
                tokens_per_second=steps_per_second * self._step_tokens,
                seconds_left=(self._steps - step) / steps_per_second,
            )
        )

    def _write(self, row: dict[str, float]) -> None:
        with paths.disk_errors(self._folder):
            print(json.dumps(row), file=self._file, flush=True)


def _cut(file: Path, first: int) -> None:
    """Leave out what was written of steps that are made again."""
    if not file.is_file():
        return
    rows = [line for line in file.read_text(encoding="utf-8").splitlines() if _before(line, first)]
    made = file.with_name(f".{file.name}")
    made.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    os.replace(made, file)


def _before(line: str, first: int) -> bool:
    try:
        row = json.loads(line)
    except ValueError:
        return False
    # A loss stands with the steps that are done, a measurement with the one that follows.
    return bool(row["step"] < first or (row["step"] == first and "loss" in row))
