"""Epochs that are kept: the adapter as it was when each ended, to be published as a checkpoint.

They lie in the run's directory as PEFT's two files, `epochs/step-NNNNNNNN/`, until then.
"""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from lmft import paths
from lmft.train import processes
from lmft.train.prepare import Job
from lmft.train.weights import save_adapter

_DIRECTORY = "epochs"


def epoch_ends(job: Job) -> dict[int, int]:
    """Step -> the epoch that ends with it, oldest first: the last `training.keep_epochs` of those
    that end before the run does."""
    plan, training = job.plan, job.recipe.training
    n_blocks = len(job.blocks.ids_NT)
    # The last epoch's end is the run's own.
    newest = math.ceil(training.epochs) - 1
    # From the last one backwards: a recipe may ask for many epochs, and of few blocks.
    ends: dict[int, int] = {}
    step = plan.steps
    for _ in range(training.keep_epochs):
        epoch = min(newest, (step - 1) * plan.batch_blocks // n_blocks)
        if epoch < 1:
            break
        step = -(-epoch * n_blocks // plan.batch_blocks)
        ends[step] = epoch
    return dict(reversed(ends.items()))


def kept_epoch(run: Path, step: int) -> Path:
    """Where the adapter of that step lies, or would, in the directory of a run."""
    return run / _DIRECTORY / f"step-{step:08d}"


def remove_kept(run: Path) -> None:
    """Once all is published."""
    shutil.rmtree(run / _DIRECTORY, ignore_errors=True)


class EpochKeeper(TrainerCallback):  # type: ignore[misc]
    """Writes them. All processes of a training take part in gathering; the main one writes."""

    def __init__(self, job: Job, model: Any, run: Path) -> None:
        self._job, self._model, self._run = job, model, run
        self._ends = epoch_ends(job)

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """A run that goes on makes what came after its checkpoint anew, perhaps by another rate;
        and what an attempt at this very step did not keep is kept now."""
        if processes.is_main():
            for left in (self._run / _DIRECTORY).glob("step-*"):
                if int(left.name.removeprefix("step-")) > state.global_step:
                    shutil.rmtree(left)
        self.on_step_end(args, state, control)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        step = state.global_step
        if step not in self._ends:
            return
        adapter = processes.whole_adapter(self._model)
        target = kept_epoch(self._run, step)
        if processes.is_main() and not target.exists():
            with paths.publishing(target) as staging:
                save_adapter(self._model, adapter, staging, self._job.base)
