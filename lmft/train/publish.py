"""A trained model to adapters' directories, each of which appears at once and complete: the epochs
that were kept on the way, then the model itself."""

from __future__ import annotations

import gc
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from lmft import paths
from lmft.ids import AdapterId
from lmft.registry.adapters import Manifest, Training, write_manifest
from lmft.registry.card import model_card
from lmft.train import processes
from lmft.train.durable.jobkey import frozen
from lmft.train.durable.runs import Run
from lmft.train.epochs import epoch_ends, kept_epoch
from lmft.train.merged import merge, merged_directory, merged_record
from lmft.train.planning.plan import Plan
from lmft.train.prepare import Job
from lmft.train.recipe import dump_recipe
from lmft.train.reference import Reference
from lmft.train.servable import service_of
from lmft.train.variant import export_variant, variant_name
from lmft.train.watch.journal import Row
from lmft.train.watch.record import METRICS, SAMPLES
from lmft.train.watch.watch import CURVE, PAGE
from lmft.train.weights import WEIGHT_FILES, save_adapter


@dataclass
class Fit:
    """A trained model that is not saved yet, and what its training came to."""

    model: Any
    training: Training


@dataclass(frozen=True)
class _Stage:
    """What the adapter was at some step.

    Attributes:
        weights: directory of PEFT's two files. remark: for the card of what is not the whole run.
    """

    id: AdapterId
    weights: Path
    training: Training
    remark: str = ""


def publish(
    job: Job, fit: Fit, run: Run, console: Console, may_publish: Callable[[], None]
) -> None:
    """The served base, the references, the manifests: the adapters' directories, each at once.

    A checkpoint that is there was published by an attempt that died, and stays.

    Takes the model out of `fit`: the reference loads the served base, and needs its room.
    """
    base, plan = job.base, job.plan
    model, fit.model = fit.model, None
    variant = variant_name(base, plan, job.recipe.serve_base)
    # All processes, since a model in shards answers only to all of them together.
    adapter = processes.whole_adapter(model)
    if not processes.is_main():
        return
    with console.status("  writing the served base"):
        variant_path = export_variant(base, plan, model, variant)
    with paths.disk_errors(run.directory), paths.scratch(run.directory) as weights:
        save_adapter(model, adapter, weights, base)
        del model, adapter
        gc.collect()
        final = _Stage(run.adapter_id, weights, fit.training, _ended_early(job.plan))
        with console.status("  writing what the server must reproduce"):
            reference = Reference(variant_path, plan)
            for stage in _kept(job, run, fit.training):
                target = paths.adapters_dir() / stage.id.directory
                if not target.is_dir():
                    with paths.publishing(target, may_publish) as staging:
                        _fill(staging, stage, job, run, reference, variant)
            target = paths.adapters_dir() / final.id.directory
            with paths.publishing(target, may_publish) as staging:
                manifest = _fill(staging, final, job, run, reference, variant)
                del reference
                gc.collect()
                if service_of(base.architecture, base.name) == "merged":
                    # Before the adapter appears: a server may ask for it at once. For checkpoints
                    # the server writes these, each as large as the base, once they are asked.
                    merged = merged_directory(target.name)
                    merge(variant_path, staging, merged, merged_record(manifest))


def _ended_early(plan: Plan) -> str:
    if plan.uncut_steps is None:
        return ""
    return f"ended: by its budget, after {plan.steps} of {plan.uncut_steps} steps"


def _kept(job: Job, run: Run, final: Training) -> Iterator[_Stage]:
    """The epochs that were kept, oldest first."""
    rows = [row for _, row in _read(run.directory / METRICS)]
    for step, epoch in epoch_ends(job).items():
        weights = kept_epoch(run.directory, step)
        measured = [row for row in rows if row["step"] == step and "heldout_loss" in row]
        # None of a run that was told only on its way, after this step, to keep epochs.
        if not weights.is_dir() or not measured:
            continue
        row = measured[-1]
        loss = row["heldout_loss_all"] if "heldout_loss_all" in row else row["heldout_loss"]
        peaks = [row.get("peak_memory_bytes") or 0 for row in rows if row["step"] <= step]
        training = Training(
            heldout_before=final.heldout_before,
            heldout_after=round(loss, 6),
            steps=step,
            tokens=step * job.plan.step_tokens,
            seconds=round(row["seconds"], 1),
            device=job.plan.device,
            peak_memory_bytes=max(peaks) or None,
        )
        remark = (
            f"checkpoint: the state after epoch {epoch}, at step {step} of {job.plan.steps}; the "
            f"final model is {run.adapter_id}"
        )
        yield _Stage(run.adapter_id.checkpoint(step), weights, training, remark)


def _fill(
    staging: Path, stage: _Stage, job: Job, run: Run, reference: Reference, variant: str
) -> Manifest:
    """All files of an adapter."""
    recipe, base, plan = job.recipe, job.base, job.plan
    for name in WEIGHT_FILES:
        shutil.copyfile(stage.weights / name, staging / name)
    _copy_record(run.directory, staging, stage)
    reference.write(staging, job.heldout)
    job.contract.write(staging)
    (staging / "recipe.yaml").write_text(dump_recipe(frozen(recipe, plan)), encoding="utf-8")
    card = model_card(stage.id, base, recipe, job.corpus.info, stage.training, stage.remark)
    (staging / "README.md").write_text(card, encoding="utf-8")
    return write_manifest(
        staging,
        adapter_id=stage.id,
        base=base.name,
        base_hash=base.hash,
        variant=variant,
        quantization=plan.quantization,
        rank=recipe.lora.rank,
        corpus_hash=job.corpus.info.hash,
        method=recipe.method,
        parent=str(job.parent.id) if job.parent else None,
        training=stage.training,
    )


def _copy_record(directory: Path, staging: Path, stage: _Stage) -> None:
    """What was seen of the run up to there; of the samples those that this adapter wrote."""
    step = stage.training.steps
    if not stage.id.is_checkpoint:
        for name in (CURVE, PAGE):
            shutil.copyfile(directory / name, staging / name)
    metrics = "".join(line for line, row in _read(directory / METRICS) if row["step"] <= step)
    (staging / METRICS).write_text(metrics, encoding="utf-8")
    samples = "".join(line for line, row in _read(directory / SAMPLES) if row["step"] == step)
    (staging / SAMPLES).write_text(samples, encoding="utf-8")


def _read(file: Path) -> Iterator[tuple[str, Row]]:
    """Each line, and the row that it holds."""
    with file.open(encoding="utf-8", newline="\n") as lines:
        for line in lines:
            yield line, json.loads(line)
