"""The device while a job trains on it: held against other trainings and the servers' engines."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from transformers import TrainerCallback

from lmft.device.hold import Holding, hold
from lmft.train import processes
from lmft.train.durable.runs import Run
from lmft.train.planning.estimate import estimate
from lmft.train.prepare import Job

# Loading, measuring and writing samples at both ends, publishing; of a small base on two cores.
_BEFORE_SECONDS, _AFTER_SECONDS = 15.0, 20.0
_TELL_SECONDS = 1.0


class Progress(TrainerCallback):  # type: ignore[misc]
    """Tells the servers that wait when they may have the device back."""

    def __init__(self, holding: Holding | None) -> None:
        self._holding = holding
        self._began = self._told = time.monotonic()
        self._first_step = 0

    def foresee(self, seconds: float) -> None:
        """The steps that are ahead will take so long, by a measurement."""
        if self._holding is not None:
            self._holding.expect(seconds + _AFTER_SECONDS)

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._began, self._first_step = time.monotonic(), state.global_step

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        now = time.monotonic()
        if self._holding is None or now - self._told < _TELL_SECONDS:
            return
        self._told = now
        each = (now - self._began) / (state.global_step - self._first_step)
        self._holding.expect(each * (state.max_steps - state.global_step) + _AFTER_SECONDS)


@contextlib.contextmanager
def held(job: Job, run: Run, console: Console) -> Iterator[Holding | None]:
    """Have the device until the block ends; None in all processes of a training but the main one.

    Raises:
        MachineError: a server did not make room for it.
    """
    plan = job.plan
    peak = plan.memory.peak if plan.memory else 0
    share_left = 1 - min(run.position, plan.steps) / plan.steps
    holding: Holding | None = None
    with contextlib.ExitStack() as stack:

        def enter() -> str:
            nonlocal holding
            holding = stack.enter_context(
                hold(
                    run.id,
                    plan.device,
                    # Each process has a GPU of its own, but all share the machine's memory.
                    need_bytes=peak * (processes.count() if plan.device == "cpu" else 1),
                    seconds=estimate(job).seconds * share_left + _BEFORE_SECONDS + _AFTER_SECONDS,
                    alone=plan.alone,
                    say=lambda text: console.print(f"  {text}", highlight=False, soft_wrap=True),
                )
            )
            return ""

        processes.from_main(enter)
        yield holding
