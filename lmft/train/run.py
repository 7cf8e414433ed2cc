"""One training job from recipe to published adapter, in the order it happens."""

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
from lmft.bases import Base, resolve_base
from lmft.corpus.compile import Corpus, compile_corpus
from lmft.dataset.blocks import pack
from lmft.dataset.encode import Encoded, Encoder
from lmft.errors import CorpusError, RecipeError
from lmft.eval.heldout import heldout_nats_per_byte
from lmft.eval.samples import sample
from lmft.format.contract import FormatContract, Speakers, default_stops
from lmft.registry.adapters import Adapter, Training, get_adapter, write_manifest
from lmft.registry.card import model_card
from lmft.train.model import add_lora, load_base
from lmft.train.plan import Plan, make_plan
from lmft.train.progress import TrainingProgress
from lmft.train.recipe import Recipe, dump_recipe
from lmft.train.reference import write_reference
from lmft.train.servable import RANKS, require_servable
from lmft.train.trainer import make_trainer
from lmft.train.variant import export_variant, variant_name

# Adapter, Adam's two moments in the scratch directory, and slack.
_ADAPTER_DISK_BYTES = 100_000_000


@dataclass(frozen=True)
class Job:
    """Everything that is known before the first weight is loaded."""

    recipe: Recipe
    base: Base
    corpus: Corpus
    encoder: Encoder
    contract: FormatContract
    train: list[Encoded]
    heldout: list[Encoded]
    plan: Plan


def prepare(recipe: Recipe) -> Job:
    """Read, check and plan; loads no weights.

    Raises:
        UserError: whatever is wrong with recipe, data or base; MachineError: no disk space.
    """
    base = resolve_base(recipe.base)
    require_servable(base.architecture, base.name)
    if recipe.lora.rank > RANKS[-1]:
        raise RecipeError(
            f"lora.rank {recipe.lora.rank} cannot be served.", f"Use at most {RANKS[-1]}."
        )
    corpus = compile_corpus(
        Path(recipe.data), heldout_share=recipe.heldout_share, straight_quotes=base.fold_quotes
    )
    if corpus.is_chat != (recipe.format.kind == "chat"):
        found = "conversations" if corpus.is_chat else "stories"
        raise CorpusError(
            f"{recipe.data} holds {found}, but the recipe's format.kind is {recipe.format.kind}.",
            f"Set format.kind to {'chat' if corpus.is_chat else 'adventure or story'}.",
        )
    encoder = Encoder(base.path, base.eos_token)
    contract = _contract(recipe, base, corpus, encoder.eos_token)
    train = [encoder.encode(document, contract.speakers) for document in corpus.train]
    heldout = [encoder.encode(document, contract.speakers) for document in corpus.heldout]
    plan = make_plan(recipe, base, sum(len(document.ids) for document in train))
    paths.require_free(paths.adapters_dir(), _ADAPTER_DISK_BYTES, "A new adapter")
    return Job(recipe, base, corpus, encoder, contract, train, heldout, plan)


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
    samples = sample(fit.model, job.heldout, job.encoder, job.contract)
    variant = variant_name(base, plan, recipe.serve_base)
    variant_path = export_variant(base, plan, fit.model, variant)
    adapter_id = ids.mint_adapter_id(base.alias, recipe.name)
    with paths.publishing(paths.adapters_dir() / adapter_id.directory) as staging:
        _save_weights(fit.model, staging, base)
        training, metrics = fit.training, fit.metrics
        # The reference loads the served base: make room for it first.
        del fit
        gc.collect()
        write_reference(variant_path, staging, job.heldout, plan.device, plan.compute_dtype)
        job.contract.write(staging)
        frozen = recipe.model_copy(update={"training": _frozen_training(recipe, plan)})
        (staging / "recipe.yaml").write_text(dump_recipe(frozen), encoding="utf-8")
        _write_lines(staging / "metrics.jsonl", metrics)
        _write_lines(staging / "samples.jsonl", samples)
        card = model_card(adapter_id, base, recipe, job.corpus, training)
        (staging / "README.md").write_text(card, encoding="utf-8")
        write_manifest(
            staging,
            adapter_id=adapter_id,
            base=base.name,
            base_hash=base.hash,
            variant=variant,
            quantization=plan.quantization,
            rank=recipe.lora.rank,
            corpus_hash=job.corpus.hash,
            training=training,
        )
    return get_adapter(str(adapter_id))


def _fit(job: Job, console: Console) -> Fit:
    """Load, measure, train, measure again."""
    recipe, base, plan = job.recipe, job.base, job.plan
    model = add_lora(load_base(base, plan), recipe.lora, recipe.training.seed)
    window = min(base.context_length, 1024)

    def heldout_loss() -> float:
        return heldout_nats_per_byte(model, job.heldout, job.encoder.eos_id, window)

    before = heldout_loss()
    console.print(f"  held-out loss before: {before:.4f} nats per byte")
    progress = TrainingProgress(console, plan.batch_blocks * plan.block_tokens)
    with tempfile.TemporaryDirectory(prefix="lmft-train-") as scratch:
        blocks = pack(job.train, plan.block_tokens)
        trainer = make_trainer(model, blocks, recipe, base, plan, Path(scratch), [progress])
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


def _contract(recipe: Recipe, base: Base, corpus: Corpus, eos: str) -> FormatContract:
    kind = recipe.format.kind
    speakers = (recipe.format.speakers or Speakers()) if kind == "chat" else None
    return FormatContract(
        kind=kind,
        speakers=speakers,
        stop=default_stops(kind, speakers),
        eos=eos,
        context_length=base.context_length,
        sampler=recipe.format.sampler,
        fold_quotes=base.fold_quotes,
        opening=recipe.format.opening,
        corpus_hash=corpus.hash,
    )


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


def _frozen_training(recipe: Recipe, plan: Plan) -> Any:
    return recipe.training.model_copy(
        update={"block_tokens": plan.block_tokens, "batch_blocks": plan.batch_blocks}
    )


def _write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8")
