"""From a recipe to a base's directory, in the order in which it happens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.markup import escape

from lmft import paths
from lmft.bases import Base, resolve_base
from lmft.errors import BaseModelError, MachineError, RecipeError, Stopped
from lmft.pretrain.data import Data, data_for
from lmft.pretrain.export import export
from lmft.pretrain.folder import owned
from lmft.pretrain.loop import train
from lmft.pretrain.measure import nats_per_byte, sample
from lmft.pretrain.recipe import Pretraining
from lmft.pretrain.shape import model_from, new_model
from lmft.pretrain.text import SEPARATOR
from lmft.pretrain.vocabulary import load_tokenizer
from lmft.train.durable.memory import out_of_memory
from lmft.train.durable.stopping import StopSignals
from lmft.train.watch.bar import duration
from lmft.train.watch.energy import EnergyMeter

_ENERGY = "energy.json"
_SAMPLE_TOKENS = 80


def pretrain(recipe: Pretraining, folder: Path, console: Console) -> Path:
    """Train, and write the base into `folder`; a run that was cut short there is gone on with.

    Returns: the base's directory.

    Raises:
        InputError, BaseModelError: what cannot be trained on or from; DivergedError;
        DiskFullError; MachineError: too little memory; Stopped: on SIGTERM or Ctrl-C,
        with the step kept.
    """
    try:
        with StopSignals() as signals, owned(folder, recipe):
            return _pretrain(recipe, folder, signals, console)
    except Stopped as stop:
        stop.message = f"Stopped. The same command goes on: {folder} has what was reached."
        raise
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        raise MachineError(
            f"{recipe.training.micro_blocks} blocks at once do not fit into the memory.",
            "Go on with fewer: --set training.micro_blocks=N.",
        ) from error


def _pretrain(recipe: Pretraining, folder: Path, signals: StopSignals, console: Console) -> Path:
    base = _base(recipe)
    with console.status("  reading the text and writing its tokens"):
        data = data_for(recipe, base, folder)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = _model(recipe, base, data).to(device).train()
    n_parameters = sum(one.numel() for one in model.parameters())
    # Two checkpoints and one on its way, with Muon's one and AdamW's two numbers a weight at most.
    paths.require_free(folder, 3 * 4 * 3 * n_parameters, "Checkpoints of this run")
    console.print(
        f"  {n_parameters / 1e6:.1f}M parameters on {device}; {len(data.train_N):,} tokens to "
        f"train on, {len(data.heldout_N):,} held out; {recipe.steps:,} steps of "
        f"{recipe.step_tokens:,}",
        highlight=False,
        soft_wrap=True,
    )
    if recipe.vocabulary.chat and not base and not data.has_chat:
        console.print("  no chat in this text: the base gets no chat template", style="yellow")
    energy = folder / _ENERGY
    with EnergyMeter(energy, "", device, resumed=energy.is_file()) as meter:
        seconds = train(recipe, data, model, folder, signals, console)
    # What is measured and sampled is what is written.
    for parameter in model.parameters():
        parameter.data = parameter.data.bfloat16().float()
    heldout = nats_per_byte(model, data.heldout_N, data.heldout_bytes, model.config.n_positions)
    samples = _samples(model, data, recipe)
    for text in samples:
        console.print(f"\n  [dim]sample[/] {escape(repr(text))}", highlight=False, soft_wrap=True)
    record = {
        "recipe": {**recipe.tree(), "data": Path(recipe.data).name},
        "text_hash": data.text_hash,
        "continued_base_hash": base.hash if base else None,
        "steps": recipe.steps,
        "tokens": recipe.steps * recipe.step_tokens,
        "epochs": round(recipe.steps * recipe.step_tokens / len(data.train_N), 3),
        "parameters": n_parameters,
        "seconds": round(seconds),
        "device": device,
        "kwh": meter.total.kwh,
        "energy_source": meter.total.source,
        "heldout_nats_per_byte": round(heldout, 5),
        "samples": samples,
    }
    made = folder / recipe.name
    export(model, data, made, record)
    console.print(
        f"\n  {heldout:.4f} nats per byte held out, after {duration(seconds)} of training",
        highlight=False,
    )
    return made


def _base(recipe: Pretraining) -> Base | None:
    """What is gone on from. Raises BaseModelError, RecipeError: it cannot be."""
    if recipe.continue_from is None:
        return None
    base = resolve_base(recipe.continue_from)
    known = load_tokenizer(base.path).token_to_id(SEPARATOR) is not None
    if base.architecture != "GPT2LMHeadModel" or not known:
        raise BaseModelError(
            f"{base.name} is no GPT-2 with {SEPARATOR} between documents.",
            "Leave continue_from out, or name a base that lmft pretrain made.",
        )
    try:
        recipe.require_blocks(base.context_length)
    except ValueError as error:
        raise RecipeError(f"The recipe does not fit {base.name}: {error}.") from error
    return base


def _model(recipe: Pretraining, base: Base | None, data: Data) -> Any:
    if base:
        return model_from(base)
    return new_model(recipe.shape, data.tokenizer.get_vocab_size(), recipe.training.seed)


def _samples(model: Any, data: Data, recipe: Pretraining) -> list[str]:
    """Each prompt and what follows; the seed is its number."""
    start: Any = data.tokenizer.token_to_id(SEPARATOR)
    found: list[str] = []
    for seed, prompt in enumerate(recipe.prompts):
        ids: list[int] = data.tokenizer.encode(prompt, add_special_tokens=False).ids
        written = sample(model, [start, *ids], _SAMPLE_TOKENS, seed)
        found.append(data.tokenizer.decode([*ids, *written]))
    return found
