"""What `auto` means on this machine: each choice with its reason, made before anything loads."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lmft import machine
from lmft.bases import Base
from lmft.dataset.blocks import Blocks
from lmft.errors import RecipeError
from lmft.train import processes
from lmft.train.planning.fit import fit_into, fit_into_first
from lmft.train.planning.memory import Memory
from lmft.train.planning.room import Room
from lmft.train.planning.shape import shape_of
from lmft.train.planning.speed import choose_compile
from lmft.train.recipe import Recipe

# From here on 4-bit saves more memory than it costs quality.
_LARGE_BASE = 1e9
_STEPS_WANTED = 100
_MIN_STEP_TOKENS = 1024
_MAX_STEP_TOKENS = {"cpu": 4096, "cuda": 16384}
_BLOCK_TOKENS = {"cpu": 256, "cuda": 1024}


@dataclass(frozen=True)
class Plan:
    """The settings that depend on machine, base and corpus.

    Attributes:
        device: `cuda` or `cpu`.
        compute_dtype: torch's name of the type of activations and matmuls; LoRA masters are
            always fp32.
        block_tokens, batch_blocks: T and B of the blocks of one step, of all processes together.
        reasons: a line for each choice, for people.
        micro_blocks, accumulation: a step is `accumulation` passes over `micro_blocks` blocks,
            in each process.
        activation_checkpointing: compute activations again in the backward pass, to save memory.
        keep_dequantised: hold 4-bit weights dequantised too, to save dequantising them.
        compile: torch.compile the transformer blocks.
        memory: what a step is expected to take; None where nobody counted.
        free_bytes: memory that was free when this was planned; 0 where the system does not say.
        alone: for that the servers on the device make room; see lmft.device.
        uncut_steps: of the recipe's epochs, where its budget ends the run before; else None.
    """

    device: str
    quantization: str
    compute_dtype: str
    block_tokens: int
    batch_blocks: int
    steps: int
    reasons: tuple[str, ...]
    micro_blocks: int = 1
    accumulation: int = 1
    activation_checkpointing: bool = False
    keep_dequantised: bool = False
    compile: bool = False
    memory: Memory | None = None
    free_bytes: int = 0
    alone: bool = False
    uncut_steps: int | None = None

    @property
    def step_tokens(self) -> int:
        return self.batch_blocks * self.block_tokens

    @property
    def tokens(self) -> int:
        """Of all steps."""
        return self.steps * self.step_tokens


def compute_device() -> tuple[str, str, str]:
    """Where to compute, in which type, and why."""
    dtype = machine.serving_dtype()
    if found := machine.gpus():
        return "cuda", dtype, found[0].name
    if dtype == "bfloat16":
        return "cpu", dtype, "no GPU; this CPU multiplies in bf16"
    return "cpu", dtype, "no GPU, and this CPU only emulates bf16 (30 times slower)"


def choose_block_tokens(recipe: Recipe, base: Base, n_train_tokens: int) -> tuple[int, str]:
    """T, and the reason where the recipe leaves it open or cannot have it (else empty)."""
    wanted, reason = recipe.training.block_tokens, ""
    if wanted == "auto":
        device, _, _ = compute_device()
        wanted = _BLOCK_TOKENS[device]
        reason = f"block_tokens {wanted}: short blocks keep attention cheap on a {device}"
    for limit, what in (
        (base.context_length, "the base can look back no further"),
        (shape_of(base).window or wanted, "the base's attention slides over that many"),
        (n_train_tokens, "the text has no more"),
    ):
        if limit < wanted:
            wanted, reason = limit, f"block_tokens {limit}: {what}"
    return wanted, reason


def make_plan(recipe: Recipe, base: Base, blocks: Blocks, block_reason: str) -> Plan:
    """Choose what the recipe leaves open, for the blocks of one epoch.

    Raises:
        MachineError: it does not fit into the free memory; says what would.
    """
    device, dtype, why_dtype = compute_device()
    shape = shape_of(base)
    n_blocks, block_tokens = blocks.ids_NT.shape
    batch_blocks, why_batch = _choose_batch(recipe, device, block_tokens, blocks.n_tokens)
    # Epochs follow each other without a gap (lmft.train.batches), so only the last step is rounded.
    steps = max(1, math.ceil(round(recipe.training.epochs * n_blocks / batch_blocks, 9)))
    uncut_steps, why_steps = None, ""
    affordable = _affordable_steps(recipe, batch_blocks * block_tokens)
    if affordable is not None and affordable < steps:
        why_steps = f"steps {affordable} of {steps}: training.max_tokens allows no more"
        steps, uncut_steps = affordable, steps
    quantization, why_quantization = _choose_quantization(recipe, base)
    fit = fit_into_first(
        Room.on(device),
        lambda room: fit_into(
            recipe,
            base,
            shape,
            room,
            dtype=dtype,
            quantization=quantization,
            block_tokens=block_tokens,
            step_blocks=batch_blocks // processes.count(),
        ),
    )
    if fit.quantization != quantization:
        quantization, why_quantization = fit.quantization, "unquantised it does not fit"
    tokens = steps * batch_blocks * block_tokens
    compiles, why_compile = choose_compile(recipe, shape, device, dtype, block_tokens, tokens)
    reasons = [
        f"compute {dtype}: {why_dtype}",
        f"quantization {quantization}: {why_quantization}",
        block_reason,
        why_batch,
        why_steps,
        *fit.reasons,
        why_compile,
    ]
    return Plan(
        device,
        quantization,
        dtype,
        block_tokens,
        batch_blocks,
        steps,
        tuple(reason for reason in reasons if reason),
        micro_blocks=fit.micro_blocks,
        accumulation=fit.accumulation,
        activation_checkpointing=fit.checkpointing,
        keep_dequantised=fit.keep_dequantised,
        compile=compiles,
        memory=fit.memory,
        free_bytes=fit.free_bytes,
        alone=fit.alone,
        uncut_steps=uncut_steps,
    )


def _affordable_steps(recipe: Recipe, step_tokens: int) -> int | None:
    """How many the recipe's budget pays for; None where it has none.

    Raises:
        RecipeError: not one.
    """
    budget = recipe.training.max_tokens
    if budget is None:
        return None
    if budget < step_tokens:
        raise RecipeError(
            f"training.max_tokens is {budget:,}, but one step takes {step_tokens:,}.",
            "Raise it, or set training.batch_blocks and training.block_tokens lower.",
        )
    return budget // step_tokens


def rows_together(recipe: Recipe) -> int:
    """Blocks that cannot be parted: preferences come as pairs of answers."""
    return 1 if recipe.method == "sft" else 2


def _choose_quantization(recipe: Recipe, base: Base) -> tuple[str, str]:
    size = f"the base has {base.n_parameters / 1e6:.0f}M parameters"
    large = base.n_parameters > _LARGE_BASE
    if recipe.quantization == "auto":
        if large:
            return "nf4", f"{size}, and 4-bit takes a quarter of the memory"
        return "none", f"{size}, and 4-bit saves little below about 1B"
    costs = recipe.quantization == "nf4" and not large
    return recipe.quantization, "as the recipe says" + (
        " (below 1B it costs some quality)" if costs else ""
    )


def _choose_batch(recipe: Recipe, device: str, block_tokens: int, n_tokens: int) -> tuple[int, str]:
    """B of a step, and the reason where it is not simply the recipe's.

    Small data wants many small steps (at least 100 where there are tokens enough) of 1k to 4k
    tokens; large data wants the widest matmuls.
    """
    reason = ""
    if recipe.training.batch_blocks != "auto":
        wanted = recipe.training.batch_blocks
    else:
        budget = recipe.training.max_tokens or math.inf
        per_step = min(recipe.training.epochs * n_tokens, budget) / _STEPS_WANTED
        per_step = min(max(per_step, _MIN_STEP_TOKENS), _MAX_STEP_TOKENS[device])
        wanted = max(1, round(per_step / block_tokens))
        reason = (
            f"batch_blocks {wanted}: {wanted * block_tokens} tokens a step, "
            f"aiming at {_STEPS_WANTED} steps or more"
        )
    together = processes.count() * rows_together(recipe)
    batch = math.ceil(wanted / together) * together
    if batch != wanted:
        reason = f"batch_blocks {batch}: {wanted}, rounded up to what {together} share evenly"
    return batch, reason
