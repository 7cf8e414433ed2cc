"""lmft's trainer, as `lmft train` uses it: the same loading, the same BlockTrainer."""

from __future__ import annotations

import tempfile
from pathlib import Path

from bench.trainers.clock import StepClock
from bench.trainers.shapes import ALPHA, RANK, SEED, Case, Measured, random_blocks
from lmft.train.model import load_trainable
from lmft.train.planning.plan import Plan
from lmft.train.recipe import Lora, Recipe
from lmft.train.trainer import make_trainer


def measure(case: Case, n_steps: int, *, compiled: bool = False) -> Measured:
    clock = StepClock()
    device = clock.device
    plan = Plan(
        device,
        "nf4" if case.nf4 else "none",
        case.dtype,
        case.block_tokens,
        case.blocks_per_step,
        n_steps,
        (),
        micro_blocks=case.blocks_per_step,
        keep_dequantised=case.nf4,
        compile=compiled,
    )
    model = load_trainable(case.base, plan, Lora(rank=RANK, alpha=ALPHA), SEED)
    blocks = random_blocks(case, n_steps, model.config.vocab_size)
    with tempfile.TemporaryDirectory(prefix="lmft-bench-") as scratch:
        recipe = Recipe(name="bench", data="none")
        make_trainer(model, blocks, recipe, plan, Path(scratch), [clock]).train()
    return clock.measured(case.tokens_per_step)
