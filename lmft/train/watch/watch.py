"""All that a person sees of one training, as one context around it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Self

from rich.console import Console
from transformers import TrainerCallback

from lmft import paths
from lmft.train import processes
from lmft.train.prepare import Job
from lmft.train.watch import curve
from lmft.train.watch.bar import Bar
from lmft.train.watch.callback import WatchCallback
from lmft.train.watch.closing import print_closing
from lmft.train.watch.energy import Energy, EnergyMeter
from lmft.train.watch.page import render_page
from lmft.train.watch.rate import Rate
from lmft.train.watch.record import Record
from lmft.train.watch.report import Outcome
from lmft.train.watch.trackers import tracker_callbacks

ENERGY, CURVE, PAGE = "energy.json", "loss.png", "report.html"


class Watch:
    """Entering starts bar, clock and energy meter; leaving, by an exception too, closes them.

    In each of several processes that train together it evaluates, as all must take part in
    that; only the main one shows and writes anything.

    Attributes:
        callbacks: for the trainer.
    """

    def __init__(
        self,
        job: Job,
        model: Any,
        directory: Path,
        console: Console,
        *,
        resumed_at: int | None,
    ) -> None:
        """
        Args:
            model: with lmft.train.fast installed.
            directory: of the run; exists.
            resumed_at: the checkpoint's step: rows beyond it are dropped, seconds and energy go
                on from there. None begins anew.

        Raises:
            RecipeError: a tracker that the recipe names is not installed.
        """
        self._is_main = processes.is_main()
        self._job, self._directory = job, directory
        self._console = console if self._is_main else Console(quiet=True)
        self._resumed = resumed_at is not None
        self._record = Record(
            directory, job.plan, len(job.blocks.ids_NT), resumed_at, writes=self._is_main
        )
        self._bar = Bar(self._console, job.plan.steps)
        self._rate = Rate(model.config, job.recipe.lora, job.plan)
        self._meter: EnergyMeter | None = None
        self._opened = contextlib.ExitStack()
        trackers = tracker_callbacks(job.recipe.track, directory) if self._is_main else []
        callback = WatchCallback(job, self._record, self._bar, self._rate, trackers)
        self._reason = callback.scope.reason
        self.callbacks: list[TrainerCallback] = [callback, *trackers]

    def __enter__(self) -> Self:
        if self._reason:
            self._console.print(f"  {self._reason}", highlight=False, soft_wrap=True)
        with self._opened as opened:
            opened.enter_context(self._record.opened())
            if self._is_main:
                self._meter = opened.enter_context(
                    EnergyMeter(
                        self._directory / ENERGY,
                        self._job.recipe.energy.country,
                        self._job.plan.device,
                        resumed=self._resumed,
                    )
                )
            self._bar.start()
            opened.callback(self._bar.close)
            self._opened = opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    @property
    def heldout_before(self) -> float:
        """Nats per byte over all held-out documents, before the first step."""
        return _measured(self._record.history.before)

    @property
    def heldout_after(self) -> float:
        """Nats per byte over all held-out documents, after the last step."""
        return _measured(self._record.history.after)

    @property
    def seconds(self) -> float:
        """Of training, all attempts at this run together, without evaluations."""
        return self._record.clock.seconds

    @property
    def peak_memory_bytes(self) -> int:
        return self._record.peak_memory_bytes

    @property
    def energy(self) -> Energy:
        """All attempts at this run together, evaluations included."""
        return self._meter.total if self._meter else Energy()

    def finish(self) -> None:
        """Draw the curve, write the report, say how it went; ends bar and energy meter.

        After the trainer's last step, whose evaluation is the last one.

        Raises:
            DiskFullError: no room for them.
        """
        self._opened.close()
        if not self._is_main:
            return
        outcome = Outcome(
            self._job,
            self._record.history,
            self._record.samples,
            self.seconds,
            self._rate.mfu(self._job.plan.tokens / self.seconds) if self.seconds else None,
            self.peak_memory_bytes,
            self.energy,
        )
        page = self._directory / PAGE
        with paths.disk_errors(self._directory):
            curve.write_png(outcome.history, self._directory / CURVE)
            page.write_text(render_page(outcome), encoding="utf-8")
        print_closing(outcome, page, self._console)


def _measured(value: float | None) -> float:
    if value is None:
        raise RuntimeError("asked for a held-out loss before it was measured")
    return value
