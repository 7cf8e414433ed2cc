"""What `auto` means on this machine: each choice with its reason, made before anything loads."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lmft import machine
from lmft.bases import Base
from lmft.dataset.blocks import Blocks
from lmft.train.recipe import Recipe


@dataclass(frozen=True)
class Plan:
    """The settings that depend on machine, base and corpus.

    Attributes:
        device: `cuda` or `cpu`.
        compute_dtype: torch's name of the type of activations and matmuls; LoRA masters are
            always fp32.
        block_tokens, batch_blocks: T and B of the blocks of one step.
    """

    device: str
    quantization: str
    compute_dtype: str
    block_tokens: int
    batch_blocks: int
    steps: int
    reasons: tuple[str, ...]


def compute_device() -> tuple[str, str, str]:
    """Where to compute, in which type, and why."""
    dtype = machine.serving_dtype()
    if found := machine.gpus():
        return "cuda", dtype, found[0].name
    if dtype == "bfloat16":
        return "cpu", dtype, "no GPU; this CPU multiplies in bf16"
    return "cpu", dtype, "no GPU, and this CPU only emulates bf16 (30 times slower)"


def choose_block_tokens(recipe: Recipe, base: Base, n_train_tokens: int) -> tuple[int, str]:
    """T, and the reason where the recipe leaves it open (else empty)."""
    wanted_tokens, reason = recipe.training.block_tokens, ""
    if wanted_tokens == "auto":
        device, _, _ = compute_device()
        wanted_tokens = 256 if device == "cpu" else 1024
        reason = f"block_tokens {wanted_tokens}: short blocks keep attention cheap on a {device}"
    return min(wanted_tokens, base.context_length, n_train_tokens), reason


def make_plan(recipe: Recipe, base: Base, blocks: Blocks, block_reason: str) -> Plan:
    """Choose what the recipe leaves open, for the blocks of one epoch."""
    device, dtype, why_dtype = compute_device()
    reasons = [f"compute {dtype}: {why_dtype}"]

    quantization = recipe.quantization
    if quantization == "auto":
        quantization = "nf4" if base.n_parameters > 1e9 else "none"
        reasons.append(
            f"quantization {quantization}: the base has {base.n_parameters / 1e6:.0f}M parameters, "
            "and 4-bit saves nothing below about 1B"
        )
    elif quantization == "nf4" and base.n_parameters < 1e9:
        reasons.append("quantization nf4: as the recipe says (below 1B it costs some quality)")

    if block_reason:
        reasons.append(block_reason)
    n_blocks, block_tokens = blocks.ids_NT.shape

    if recipe.training.batch_blocks == "auto":
        # Small data wants many small steps (at least 100 where there are tokens enough) of
        # 1k to 4k tokens; large data wants the widest matmuls.
        per_step = recipe.training.epochs * blocks.n_tokens / 100
        per_step = min(max(per_step, 1024), 4096 if device == "cpu" else 16384)
        batch_blocks = max(1, round(per_step / block_tokens))
        reasons.append(
            f"batch_blocks {batch_blocks}: {batch_blocks * block_tokens} tokens a step, "
            "aiming at 100 steps or more"
        )
    else:
        batch_blocks = recipe.training.batch_blocks
    steps = max(1, math.ceil(recipe.training.epochs * math.ceil(n_blocks / batch_blocks)))
    return Plan(device, quantization, dtype, block_tokens, batch_blocks, steps, tuple(reasons))
