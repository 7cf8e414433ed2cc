"""Seconds of each step, with the device's work in them."""

from __future__ import annotations

import itertools
import time
from typing import Any

import torch
from transformers import TrainerCallback

from bench.trainers.shapes import Measured

# The first step allocates, compiles and chooses kernels.
_WARM_UP_STEPS = 1


class StepClock(TrainerCallback):  # type: ignore[misc]
    """A Trainer callback; a bare loop calls `step_ended` itself."""

    def __init__(self) -> None:
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self._marks: list[float] = []
        if self.device == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.step_ended()

    def step_ended(self) -> None:
        if self.device == "cuda" and len(self._marks) < _WARM_UP_STEPS:
            torch.cuda.synchronize()
        self._marks.append(time.perf_counter())

    def measured(self, tokens_per_step: int) -> Measured:
        """On a GPU the steps run ahead of Python: only the sum is true, so it is shared out."""
        marks = self._marks[_WARM_UP_STEPS - 1 :]
        peak_bytes = 0
        if self.device == "cuda":
            torch.cuda.synchronize()
            n_steps = len(marks) - 1
            marks = [
                marks[0] + (time.perf_counter() - marks[0]) / n_steps * i
                for i in range(n_steps + 1)
            ]
            peak_bytes = torch.cuda.max_memory_reserved()
        seconds = [after - before for before, after in itertools.pairwise(marks)]
        return Measured(seconds, tokens_per_step, peak_bytes)
