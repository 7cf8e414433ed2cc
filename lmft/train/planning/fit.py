"""The largest pass of a step that fits into the free memory."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from lmft.bases import Base
from lmft.errors import MachineError
from lmft.train.planning.memory import Memory, Setting
from lmft.train.planning.room import Counter, Room, does_not_fit
from lmft.train.planning.shape import Shape
from lmft.train.recipe import Recipe

# Above this many tokens a pass no longer gets faster on a GPU; on a CPU it is the whole batch.
_GPU_PASS_TOKENS = 32768


@dataclass(frozen=True)
class Fit:
    """How a step is computed, in what memory. `reasons`: for people."""

    quantization: str
    micro_blocks: int
    accumulation: int
    checkpointing: bool
    keep_dequantised: bool
    memory: Memory
    free_bytes: int
    alone: bool
    reasons: tuple[str, ...]


def fit_into_first(rooms: Sequence[Room], fit: Callable[[Room], Fit]) -> Fit:
    """`fit` in the first room that needs no other quantization for it than the last one would.

    A server nearby may make a step smaller, but not what is learnt another.

    Raises:
        MachineError: of the last room, when it fits into none.
    """
    last = fit(rooms[-1])
    for room in rooms[:-1]:
        with contextlib.suppress(MachineError):
            found = fit(room)
            if found.quantization == last.quantization:
                return found
    return last


def fit_into(
    recipe: Recipe,
    base: Base,
    shape: Shape,
    room: Room,
    *,
    dtype: str,
    quantization: str,
    block_tokens: int,
    step_blocks: int,
) -> Fit:
    """The fastest way to compute a step of `step_blocks` blocks that fits, in this order: the
    widest pass; smaller ones; activations computed again; 4-bit where the recipe leaves it open.

    Raises:
        MachineError: none does; its hint says which change of the recipe would.
    """
    counter = Counter(base, shape, room, dtype, recipe.lora.rank)
    first = counter.setting(quantization, block_tokens, block_tokens * step_blocks)
    micro_sizes = _micro_sizes(recipe, room.device, block_tokens, step_blocks)
    wanted = recipe.training.activation_checkpointing
    ways = [False, True] if wanted == "auto" else [wanted]
    kinds = [quantization]
    if recipe.quantization == "auto" and quantization == "none":
        kinds.append("nf4")
    tried = [
        replace(first, quantization=kind, checkpointing=way, micro_tokens=micro * block_tokens)
        for kind in kinds
        for way in ways
        for micro in micro_sizes
    ]
    for setting in tried:
        memory = counter.count(setting)
        if room.holds(memory):
            break
    else:
        raise does_not_fit(base, room, tried[-1], counter)
    keeps = replace(setting, keep_dequantised=setting.quantization == "nf4")
    if room.holds(counter.count(keeps)):
        setting, memory = keeps, counter.count(keeps)
    micro = setting.micro_tokens // block_tokens
    return Fit(
        setting.quantization,
        micro,
        step_blocks // micro,
        setting.checkpointing,
        setting.keep_dequantised,
        memory,
        room.free_bytes,
        room.alone,
        tuple(_reasons(recipe, room, setting, micro, step_blocks, micro_sizes[0])),
    )


def _micro_sizes(recipe: Recipe, device: str, block_tokens: int, step_blocks: int) -> list[int]:
    """Divisors of a step's blocks, the largest first; only the recipe's where it names one."""
    together = 1 if recipe.method == "sft" else 2
    sizes = [
        size
        for size in range(step_blocks, 0, -1)
        if step_blocks % size == 0 and size % together == 0
    ] or [step_blocks]
    wanted = recipe.training.micro_blocks
    if wanted != "auto":
        return [next((size for size in sizes if size <= wanted), sizes[-1])]
    if device == "cuda":
        return [size for size in sizes if size * block_tokens <= _GPU_PASS_TOKENS] or sizes[-1:]
    return sizes


def _reasons(
    recipe: Recipe, room: Room, setting: Setting, micro: int, step_blocks: int, widest: int
) -> Iterator[str]:
    if room.alone and room.device == "cpu":
        yield "the servers here stop their engines meanwhile: beside them it does not fit"
    wanted = recipe.training.micro_blocks
    if micro == step_blocks:
        yield f"micro_blocks {micro}: a whole step at once"
    elif wanted == micro:
        yield f"micro_blocks {micro}: as the recipe says"
    elif wanted != "auto":
        yield f"micro_blocks {micro}: {wanted} do not divide a step of {step_blocks}"
    elif micro == widest:
        yield f"micro_blocks {micro}: {setting.micro_tokens} tokens fill the GPU"
    else:
        yield f"micro_blocks {micro}: more do not fit into {room.free_bytes / 1e9:.1f} GB"
    if recipe.training.activation_checkpointing != "auto":
        switch = "on" if setting.checkpointing else "off"
        yield f"activation_checkpointing {switch}: as the recipe says"
    elif setting.checkpointing:
        yield "activation_checkpointing on: without it not even the smallest pass fits"
    else:
        yield "activation_checkpointing off: the activations fit"
    if setting.keep_dequantised:
        yield "keep_dequantised on: memory is there, and it saves dequantising in every pass"
    elif setting.quantization == "nf4":
        yield "keep_dequantised off: the dequantised weights do not fit beside the rest"
