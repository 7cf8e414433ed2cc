"""One training job from what was prepared to a published adapter, in the order it happens.

lmft.train.durable.survive decides what a failure means; a job that was cut short goes on here too,
from its newest checkpoint, and straight to publishing when its last step is done.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from transformers import TrainerCallback

from lmft import paths
from lmft.ids import AdapterId, mint_adapter_id
from lmft.registry.adapters import Adapter, Training, get_adapter
from lmft.train import processes
from lmft.train.durable.checkpoint import KEPT, Checkpoints, step_of
from lmft.train.durable.jobkey import JobKey, frozen
from lmft.train.durable.record import Tuning
from lmft.train.durable.runs import Run, create_run
from lmft.train.durable.stopping import StopSignals
from lmft.train.durable.survive import Keeper, recorded, until_it_fits
from lmft.train.epochs import EpochKeeper, remove_kept
from lmft.train.holding import Progress, held
from lmft.train.loaded import LoadedModel
from lmft.train.planning.estimate import estimate
from lmft.train.planning.plan import Plan
from lmft.train.planning.plan_shown import measured_line
from lmft.train.planning.probe import tokens_per_second
from lmft.train.prepare import Job
from lmft.train.publish import Fit, publish
from lmft.train.trainer import make_trainer
from lmft.train.watch.watch import Watch

# Weight and Adam's two moments of each trained parameter, fp32.
_CHECKPOINT_BYTES = 12


def run(
    job: Job,
    console: Console,
    resumed: Run | None = None,
    *,
    adapter_id: AdapterId | None = None,
    may_publish: Callable[[], None] = lambda: None,
) -> Adapter:
    """Train, measure, export, publish. Nothing half-written stays behind on any failure.

    Args:
        resumed: the run that this job goes on with; None begins a new one.
        adapter_id: of a new run; None mints one. A run that is resumed has its own.
        may_publish: called right before an adapter's directory appears; what it raises keeps it
            from appearing and ends the run, to be resumed.

    Raises:
        Stopped: on SIGTERM or Ctrl-C, with the step kept and how to go on.
        DivergedError, DiskFullError, MachineError: see lmft.train.durable; resumable where said.
    """
    recipe = frozen(job.recipe, job.plan)
    key = JobKey.of(recipe, job.base.hash, job.corpus.info.hash)
    new_id = adapter_id or mint_adapter_id(job.base.alias, recipe.name)
    with StopSignals() as signals, resumed or create_run(recipe, key, new_id) as run:
        run.require(key)
        with recorded(run, recipe.training.learning_rate):
            console.print(f"  run {run.id}", highlight=False)
            with held(job, run, console) as holding:
                return _run(job, run, key, signals, console, Progress(holding), may_publish)


def _run(
    job: Job,
    run: Run,
    key: JobKey,
    signals: StopSignals,
    console: Console,
    progress: Progress,
    may_publish: Callable[[], None],
) -> Adapter:
    checkpoints = processes.main_first(
        lambda: Checkpoints(run.checkpoints_dir, run.directory / "quarantine", key)
    )
    if not (paths.adapters_dir() / run.adapter_id.directory).is_dir():
        fit = _train(job, run, checkpoints, signals, console, progress)
        publish(job, fit, run, console, may_publish)
    # Else it was published by an attempt that died before it could say so.
    if processes.is_main():
        run.published()
        checkpoints.remove()
        remove_kept(run.directory)
    processes.from_main(str)
    processes.leave()
    return get_adapter(str(run.adapter_id))


def _train(
    job: Job,
    run: Run,
    checkpoints: Checkpoints,
    signals: StopSignals,
    console: Console,
    progress: Progress,
) -> Fit:
    loaded = LoadedModel(job)

    def attempt(plan: Plan) -> Fit:
        planned = replace(job, plan=plan)
        return _attempt(planned, loaded, run, checkpoints, signals, console, progress)

    return until_it_fits(run.tuned(job.plan), run, console, attempt)


def _attempt(
    job: Job,
    loaded: LoadedModel,
    run: Run,
    checkpoints: Checkpoints,
    signals: StopSignals,
    console: Console,
    progress: Progress,
) -> Fit:
    """Load, and train from the newest checkpoint on, watched."""
    recipe, base, plan = job.recipe, job.base, job.plan
    checkpoint = processes.main_first(
        lambda: checkpoints.newest(lambda text: console.print(f"  {text}", style="yellow"))
    )
    first_step = step_of(checkpoint) if checkpoint else 0
    run.begin(frozen(recipe, plan), Tuning.of(plan), first_step)
    if checkpoint:
        console.print(f"  going on from step {first_step} of {plan.steps}", highlight=False)
    with console.status(f"  loading {base.name}"):
        model = loaded.at_the_beginning(plan)
    n_trained = sum(one.numel() for one in model.parameters() if one.requires_grad)
    paths.require_free(
        run.directory, (KEPT + 1) * _CHECKPOINT_BYTES * n_trained, "Checkpoints of this run"
    )
    steps_left = plan.steps - first_step
    if steps_left and processes.count() == 1:
        with console.status("  timing a few passes"):
            speed = tokens_per_second(model, job.blocks, plan)
        ahead = replace(job, plan=replace(plan, steps=steps_left))
        console.print(f"  {measured_line(ahead, speed)}", highlight=False)
        progress.foresee(estimate(ahead, speed).seconds)
    keeper = Keeper(run, signals, recipe.training.checkpoint_minutes)
    with (
        paths.disk_errors(run.directory),
        Watch(
            job, model, run.directory, console, resumed_at=first_step if checkpoint else None
        ) as watch,
    ):
        with signals.deferred(), tempfile.TemporaryDirectory(prefix="lmft-train-") as scratch:
            # The watch comes before: what it finds diverged is not kept.
            epochs = EpochKeeper(job, model, run.directory)
            callbacks = [keeper, progress, *watch.callbacks, epochs]
            trainer = _trainer(model, job, Path(scratch), callbacks)
            trainer.checkpoints = checkpoints
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        watch.finish()
    return Fit(model, _training(plan, watch))


def _trainer(model: Any, job: Job, scratch: Path, callbacks: Sequence[TrainerCallback]) -> Any:
    if job.pairs is not None:
        # TRL takes a second to import, and only preferences need it.
        from lmft.train.preference.trainer import make_preference_trainer

        return make_preference_trainer(model, job, job.plan, scratch, callbacks)
    return make_trainer(model, job.blocks, job.recipe, job.plan, scratch, callbacks)


def _training(plan: Plan, watch: Watch) -> Training:
    return Training(
        heldout_before=round(watch.heldout_before, 6),
        heldout_after=round(watch.heldout_after, 6),
        steps=plan.steps,
        tokens=plan.tokens,
        seconds=round(watch.seconds, 1),
        device=plan.device,
        peak_memory_bytes=watch.peak_memory_bytes,
        energy_kwh=watch.energy.kwh,
        co2_kg=watch.energy.co2_kg,
        energy_source=watch.energy.source,
    )
