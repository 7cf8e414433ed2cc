"""The steps of a run, from its newest checkpoint to the last one."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from rich.console import Console

from lmft.errors import InputError
from lmft.machine import mixes_bf16
from lmft.pretrain import keeping
from lmft.pretrain.data import Data
from lmft.pretrain.keeping import Reached
from lmft.pretrain.measure import nats_per_byte
from lmft.pretrain.recipe import Pretraining, Training
from lmft.pretrain.steps import Batches, Optimizers, loss_of, rate_share, train_step
from lmft.pretrain.watching import Watch
from lmft.train.durable.stopping import StopSignals

_METRICS, _CHECKPOINTS = "metrics.jsonl", "checkpoints"
_EVALUATED_TOKENS = 200_000
# Tokens times parameters: ten minutes of two CPU cores.
_COMPILES_FROM = 1e13


def train(
    recipe: Pretraining,
    data: Data,
    model: Any,
    folder: Path,
    signals: StopSignals,
    console: Console,
) -> float:
    """Returns: the seconds of all attempts."""
    training, steps = recipe.training, recipe.steps
    optimizers = Optimizers(model, training)
    loss_by = loss_of(model, compiled=compiles(training, model))
    checkpoints = folder / _CHECKPOINTS
    reached = keeping.load(checkpoints, model, optimizers)
    reached = reached or Reached(0, steps, 0.0, data.key)
    _require_same(reached, data, steps, folder)
    first = reached.step
    if first:
        console.print(f"  going on from step {first:,} of {steps:,}", highlight=False)
    micro_tokens = training.micro_blocks * training.block_tokens

    def blocks_of(n_tokens: int) -> Batches:
        return Batches(data.train_N, n_tokens, recipe.step_tokens, micro_tokens, training.seed)

    short = blocks_of(training.block_tokens)
    long = blocks_of(model.config.n_positions) if training.long_share else short
    every = max(1, steps // training.evaluations)
    saved = time.monotonic()
    file = folder / _METRICS
    with Watch(file, console, steps, recipe.step_tokens, first, reached.seconds) as watch:
        for step in range(first, steps):
            with signals.deferred():
                if step == first or step % every == 0:
                    watch.measured(step, _measured(model, data))
                batches = long if step >= (1 - training.long_share) * steps else short
                share = rate_share(step, steps, training)
                loss = train_step(model, loss_by, batches, step, optimizers, share)
                watch.stepped(step + 1, loss)
                due = time.monotonic() - saved > 60 * training.checkpoint_minutes
                if due or signals.requested is not None or step + 1 == steps:
                    now = Reached(step + 1, steps, watch.seconds, data.key)
                    keeping.save(checkpoints, model, optimizers, now)
                    saved = time.monotonic()
        watch.measured(steps, _measured(model, data))
        return watch.seconds


def _require_same(reached: Reached, data: Data, steps: int, folder: Path) -> None:
    """Raises InputError: what was reached is not a part of this run."""
    if reached.tokens != data.key:
        raise InputError(
            f"{folder} was trained on another text, or from another base.",
            "Put back what it was, or give another folder with --out.",
        )
    over = reached.step == reached.steps != steps
    if reached.step > steps or over:
        raise InputError(
            f"{folder} is at step {reached.step:,} of {reached.steps:,} already.",
            "Give training.tokens as it was, or another folder with --out.",
        )


def compiles(training: Training, model: Any) -> bool:
    """Whether these steps are compiled: `auto` does where they take long and bf16 is fast. CPUs
    without it were slower compiled (docs/pretraining.md)."""
    if training.compile != "auto":
        return training.compile
    n_parameters: int = sum(one.numel() for one in model.parameters())
    device = next(model.parameters()).device.type
    return mixes_bf16(device) and training.tokens * n_parameters > _COMPILES_FROM


def _measured(model: Any, data: Data) -> float:
    """On the first tokens of what is held out: often, so not on all. In blocks of all positions:
    shorter ones would not see a model forget what lies further back."""
    tokens_N = data.heldout_N[:_EVALUATED_TOKENS]
    n_bytes = data.heldout_bytes
    if len(tokens_N) < len(data.heldout_N):
        n_bytes = len(data.tokenizer.decode(tokens_N.tolist()).encode())
    return nats_per_byte(model, tokens_N, n_bytes, model.config.n_positions)
