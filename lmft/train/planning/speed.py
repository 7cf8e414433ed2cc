"""How long training will take, before anything is measured; and whether compiling pays."""

from __future__ import annotations

import shutil
from importlib.util import find_spec

from lmft.train.planning.flops import flops_per_token, peak_flops
from lmft.train.planning.shape import Shape
from lmft.train.recipe import Recipe

# Share of the hardware's arithmetic that training reaches, as bench/train.py finds it.
_REACHED = {"cpu": 0.5, "cuda": 0.3}
# An unknown GPU is taken for a slow one.
_UNKNOWN_PEAK = 50e12
# Of the time of a step, what torch.compile saves, by type: in fp32 the matrix products are nearly
# all of it (measured with the embedded base: 1.9 s of CPU time a step with and without).
_COMPILE_SAVES = {"float32": 0.0, "bfloat16": 0.15, "float16": 0.15}
# Seconds that compiling a block takes, forward and backward.
_COMPILE_SECONDS = {"cpu": 45.0, "cuda": 60.0}


def expected_seconds(
    recipe: Recipe, shape: Shape, device: str, block_tokens: int, tokens: int, checkpointing: bool
) -> float:
    """Of all steps, by the roofline: an estimate that is right within a factor of about two."""
    work = tokens * flops_per_token(shape, recipe.lora, block_tokens, checkpointing)
    return work / ((peak_flops(device) or _UNKNOWN_PEAK) * _REACHED[device])


def choose_compile(
    recipe: Recipe, shape: Shape, device: str, dtype: str, block_tokens: int, tokens: int
) -> tuple[bool, str]:
    """Whether to torch.compile the blocks, and why."""
    wanted = recipe.training.compile
    if wanted is False:
        return False, "compile off: as the recipe says"
    if wanted == "auto":
        seconds = expected_seconds(recipe, shape, device, block_tokens, tokens, False)
        saved, cost = seconds * _COMPILE_SAVES[dtype], _COMPILE_SECONDS[device]
        reason = f"it would save about {saved:.0f} s and take {cost:.0f} s"
        if saved <= cost:
            return False, f"compile off: {reason}"
    else:
        reason = "as the recipe says"
    if lacking := missing_compiler(device):
        return False, f"compile off: {lacking} on this machine"
    return True, f"compile on: {reason}"


def missing_compiler(device: str) -> str | None:
    """What torch.compile would lack on this machine; None where it can work."""
    if device == "cpu" and not any(map(shutil.which, ("g++", "clang++", "c++"))):
        return "no C++ compiler"
    if device == "cuda":
        if find_spec("triton") is None:
            return "no triton"
        if not any(map(shutil.which, ("gcc", "cc", "clang"))):
            return "no C compiler"
    return None
