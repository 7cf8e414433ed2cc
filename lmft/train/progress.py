"""What a person sees while it trains: one bar with the live loss, or lines in a log."""

from __future__ import annotations

import math
import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from transformers import TrainerCallback

from lmft.errors import MachineError

_SMOOTHING = 0.9


class TrainingProgress(TrainerCallback):  # type: ignore[misc]
    """Shows smoothed loss and tokens per second, and keeps every step's metrics.

    Raises MachineError on a loss that is not a number: what was learnt until then is worthless.
    """

    def __init__(self, console: Console, tokens_per_step: int) -> None:
        self.metrics: list[dict[str, float]] = []
        self._console = console
        self._tokens_per_step = tokens_per_step
        self._loss: float | None = None
        self._started = 0.0
        self._bar = Progress(
            TextColumn("  training"),
            BarColumn(bar_width=32),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]}"),
            TextColumn("{task.fields[speed]} tokens/s"),
            TimeRemainingColumn(compact=True),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=None, loss="-", speed="-")

    @property
    def seconds(self) -> float:
        return self.metrics[-1]["seconds"] if self.metrics else 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._started = time.monotonic()
        self._bar.update(self._task, total=state.max_steps)
        self._bar.start()

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **_: Any) -> None:
        if "loss" not in logs:
            return
        loss = float(logs["loss"])
        if not math.isfinite(loss):
            self._bar.stop()
            raise MachineError(
                f"Training diverged: the loss is {loss} at step {state.global_step}.",
                "Lower training.learning_rate, for example by half.",
            )
        self._loss = (
            loss if self._loss is None else _SMOOTHING * self._loss + (1 - _SMOOTHING) * loss
        )
        seconds = time.monotonic() - self._started
        speed = state.global_step * self._tokens_per_step / seconds
        self.metrics.append(
            {
                "step": state.global_step,
                "loss": round(loss, 5),
                "learning_rate": float(logs.get("learning_rate", 0.0)),
                "grad_norm": round(float(logs.get("grad_norm", 0.0)), 5),
                "seconds": round(seconds, 3),
                "tokens_per_second": round(speed, 1),
            }
        )
        self._bar.update(
            self._task, completed=state.global_step, loss=f"{self._loss:.3f}", speed=f"{speed:,.0f}"
        )
        tenth = max(1, state.max_steps // 10)
        if not self._console.is_terminal and state.global_step % tenth == 0:
            step = f"{state.global_step}/{state.max_steps}"
            self._console.print(
                f"  step {step}  loss {self._loss:.3f}  {speed:,.0f} tokens/s", highlight=False
            )

    def close(self) -> None:
        self._bar.stop()
