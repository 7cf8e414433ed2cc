"""One training job from what was prepared to a published adapter, in the order it happens."""

from __future__ import annotations

import gc
import json
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from lmft import ids, paths
from lmft.bases import Base
from lmft.eval.heldout import heldout_nats_per_byte
from lmft.eval.samples import sample
from lmft.registry.adapters import Adapter, Training, get_adapter, write_manifest
from lmft.registry.card import model_card
from lmft.train.model import add_lora, load_base
from lmft.train.plan import Plan
from lmft.train.prepare import Job
from lmft.train.progress import TrainingProgress
from lmft.train.recipe import Recipe, dump_recipe
from lmft.train.reference import write_reference
from lmft.train.trainer import make_trainer
from lmft.train.variant import export_variant, variant_name


@dataclass(frozen=True)
class Fit:
    """A trained model that is not saved yet."""

    model: Any
    training: Training
    metrics: list[dict[str, float]]


def run(job: Job, console: Console) -> Adapter:
    """Train, measure, export, publish. Nothing half-written stays behind on any failure."""
    recipe, base, plan = job.recipe, job.base, job.plan
    fit = _fit(job, console)
    variant = variant_name(base, plan, recipe.serve_base)
    with console.status("  writing samples and the served base"):
        samples = sample(fit.model, job.heldout, job.encoder, job.contract)
        variant_path = export_variant(base, plan, fit.model, variant)
    adapter_id = ids.mint_adapter_id(base.alias, recipe.name)
    with paths.publishing(paths.adapters_dir() / adapter_id.directory) as staging:
        _save_weights(fit.model, staging, base)
        training, metrics = fit.training, fit.metrics
        # The reference loads the served base: make room for it first.
        del fit
        gc.collect()
        with console.status("  writing what the server must reproduce"):
            write_reference(variant_path, staging, job.heldout, plan)
        job.contract.write(staging)
        (staging / "recipe.yaml").write_text(dump_recipe(_frozen(recipe, plan)), encoding="utf-8")
        _write_lines(staging / "metrics.jsonl", metrics)
        _write_lines(staging / "samples.jsonl", samples)
        card = model_card(adapter_id, base, recipe, job.corpus.info, training)
        (staging / "README.md").write_text(card, encoding="utf-8")
        write_manifest(
            staging,
            adapter_id=adapter_id,
            base=base.name,
            base_hash=base.hash,
            variant=variant,
            quantization=plan.quantization,
            rank=recipe.lora.rank,
            corpus_hash=job.corpus.info.hash,
            training=training,
        )
    return get_adapter(str(adapter_id))


def _fit(job: Job, console: Console) -> Fit:
    """Load, measure, train, measure again."""
    recipe, base, plan = job.recipe, job.base, job.plan
    with console.status(f"  loading {base.name}"):
        model = add_lora(load_base(base, plan), recipe.lora, recipe.training.seed)
    window = min(base.context_length, 1024)

    def heldout_loss() -> float:
        with console.status("  measuring the held-out loss"):
            return heldout_nats_per_byte(model, job.heldout, job.encoder.eos_id, window)

    before = heldout_loss()
    console.print(f"  held-out loss before: {before:.4f} nats per byte")
    progress = TrainingProgress(console, plan.batch_blocks * plan.block_tokens)
    with (
        paths.disk_errors(Path(tempfile.gettempdir())),
        tempfile.TemporaryDirectory(prefix="lmft-train-") as scratch,
    ):
        trainer = make_trainer(model, job.blocks, recipe, base, plan, Path(scratch), [progress])
        try:
            trainer.train()
        finally:
            progress.close()
    after = heldout_loss()
    console.print(f"  held-out loss after:  {after:.4f} nats per byte ({after / before - 1:+.1%})")
    training = Training(
        heldout_before=round(before, 6),
        heldout_after=round(after, 6),
        steps=plan.steps,
        tokens=plan.steps * plan.batch_blocks * plan.block_tokens,
        seconds=round(progress.seconds, 1),
        device=plan.device,
    )
    return Fit(model, training, progress.metrics)


def _save_weights(model: Any, staging: Path, base: Base) -> None:
    """PEFT's two files, made loadable over the served base and free of paths of this machine."""
    model.save_pretrained(staging, safe_serialization=True, save_embedding_layers=False)
    (staging / "README.md").unlink(missing_ok=True)
    file = staging / "adapter_config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = base.alias
    # The quantised GPT-2 was trained as Linear, the served one is Conv1D, which is transposed.
    config["fan_in_fan_out"] = base.architecture == "GPT2LMHeadModel"
    file.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _frozen(recipe: Recipe, plan: Plan) -> Recipe:
    """The recipe with what `auto` became: run again, it does the same on any machine."""
    training = recipe.training.model_copy(
        update={"block_tokens": plan.block_tokens, "batch_blocks": plan.batch_blocks}
    )
    return recipe.model_copy(update={"training": training, "quantization": plan.quantization})


def _write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8")
