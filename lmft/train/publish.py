"""A trained model to an adapter's directory, which appears at once and complete."""

from __future__ import annotations

import gc
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from lmft import paths
from lmft.bases import Base
from lmft.registry.adapters import Training, write_manifest
from lmft.registry.card import model_card
from lmft.train import processes
from lmft.train.durable.jobkey import frozen
from lmft.train.durable.runs import Run
from lmft.train.merged import merge, merged_directory, merged_record
from lmft.train.prepare import Job
from lmft.train.recipe import dump_recipe
from lmft.train.reference import write_reference
from lmft.train.servable import service_of
from lmft.train.variant import export_variant, variant_name
from lmft.train.watch.record import METRICS, SAMPLES
from lmft.train.watch.watch import CURVE, PAGE


@dataclass
class Fit:
    """A trained model that is not saved yet, and what its training came to."""

    model: Any
    training: Training


def publish(job: Job, fit: Fit, run: Run, console: Console) -> None:
    """The served base, the reference, the manifest: the adapter's directory, at once.

    Where vLLM takes no LoRA, the merged model lies there first.

    Takes the model out of `fit`: the reference loads the served base, and needs its room.
    """
    recipe, base, plan = job.recipe, job.base, job.plan
    model, fit.model = fit.model, None
    variant = variant_name(base, plan, recipe.serve_base)
    # All processes, since a model in shards answers only to all of them together.
    adapter = processes.whole_adapter(model)
    if not processes.is_main():
        return
    with console.status("  writing the served base"):
        variant_path = export_variant(base, plan, model, variant)
    with paths.publishing(paths.adapters_dir() / run.adapter_id.directory) as staging:
        _save_weights(model, adapter, staging, base)
        _copy_record(run.directory, staging, plan.steps)
        del model
        gc.collect()
        with console.status("  writing what the server must reproduce"):
            write_reference(variant_path, staging, job.heldout, plan)
        job.contract.write(staging)
        (staging / "recipe.yaml").write_text(dump_recipe(frozen(recipe, plan)), encoding="utf-8")
        card = model_card(run.adapter_id, base, recipe, job.corpus.info, fit.training)
        (staging / "README.md").write_text(card, encoding="utf-8")
        manifest = write_manifest(
            staging,
            adapter_id=run.adapter_id,
            base=base.name,
            base_hash=base.hash,
            variant=variant,
            quantization=plan.quantization,
            rank=recipe.lora.rank,
            corpus_hash=job.corpus.info.hash,
            method=recipe.method,
            parent=str(job.parent.id) if job.parent else None,
            training=fit.training,
        )
        if service_of(base.architecture, base.name) == "merged":
            # Before the adapter appears: a server may ask for it at once.
            target = merged_directory(run.adapter_id.directory)
            with console.status("  merging the adapter into the served base"):
                merge(variant_path, staging, target, merged_record(manifest))


def _save_weights(model: Any, adapter: dict[str, Any], staging: Path, base: Base) -> None:
    """PEFT's two files, made loadable over the served base and free of paths of this machine."""
    model.save_pretrained(
        staging, state_dict=adapter, safe_serialization=True, save_embedding_layers=False
    )
    (staging / "README.md").unlink(missing_ok=True)
    file = staging / "adapter_config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = base.alias
    # The quantised GPT-2 was trained as Linear, the served one is Conv1D, which is transposed.
    config["fan_in_fan_out"] = base.architecture == "GPT2LMHeadModel"
    file.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _copy_record(directory: Path, staging: Path, last_step: int) -> None:
    """What was seen of the run; of the samples those that the finished adapter wrote."""
    for name in (METRICS, CURVE, PAGE):
        shutil.copyfile(directory / name, staging / name)
    lines = (directory / SAMPLES).read_text(encoding="utf-8").splitlines(keepends=True)
    last = "".join(line for line in lines if json.loads(line)["step"] == last_step)
    (staging / SAMPLES).write_text(last, encoding="utf-8")
