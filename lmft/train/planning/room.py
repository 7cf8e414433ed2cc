"""The free memory, what a step would take of it, and what would fit where the recipe does not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from lmft.bases import Base
from lmft.device.memory import available
from lmft.errors import MachineError
from lmft.train import processes
from lmft.train.planning.memory import Memory, Setting, held_bytes, memory_of
from lmft.train.planning.shape import Shape

# Kept free: other programs grow too, and the count is right within 15%.
_MARGIN = 0.1
_LAST_RESORT_TOKENS = 256
_GB = 1e9


@dataclass(frozen=True)
class Room:
    """Attributes:
    free_bytes: of the device's memory, for this process; 0 where the system does not say.
    held_bytes: what this process has already, of the machine's.
    alone: the servers on the device make room first; see lmft.device.
    """

    device: str
    free_bytes: int
    held_bytes: int = 0
    alone: bool = False

    @classmethod
    def on(cls, device: str) -> tuple[Self, ...]:
        """One, or the one beside the servers and the one in their place."""
        found = available(device)
        if device == "cuda":
            return (cls(device, found.in_their_place, alone=True),)
        # All processes share one memory.
        beside, in_their_place = (
            cls(device, free // processes.count(), held_bytes(), alone)
            for free, alone in ((found.beside, False), (found.in_their_place, True))
        )
        return (beside, in_their_place) if found.taken else (beside,)

    def holds(self, memory: Memory) -> bool:
        return not self.free_bytes or memory.peak <= (1 - _MARGIN) * self.free_bytes


@dataclass(frozen=True)
class Counter:
    """Counts the memory of one base in one room."""

    base: Base
    shape: Shape
    room: Room
    dtype: str
    rank: int

    def setting(self, quantization: str, block_tokens: int, micro_tokens: int) -> Setting:
        element = 4 if self.dtype == "float32" else 2
        device = self.room.device
        return Setting(device, element, quantization, self.rank, block_tokens, micro_tokens)

    def count(self, setting: Setting) -> Memory:
        file_bytes = sum(file.stat().st_size for file in self.base.path.glob("*.safetensors"))
        n_parameters = self.base.n_parameters
        return memory_of(self.shape, n_parameters, file_bytes, setting, self.room.held_bytes)


def does_not_fit(base: Base, room: Room, least: Setting, counter: Counter) -> MachineError:
    """What to say; `least`: what took the least memory of all that the recipe allows."""
    free = room.free_bytes
    message = (
        f"{base.name} needs {counter.count(least).peak / (1 - _MARGIN) / _GB:.1f} GB of memory to "
        f"train by this recipe, {free / _GB:.1f} GB are free;"
    )
    one_block = replace(least, micro_tokens=min(least.micro_tokens, least.block_tokens))
    changes = (
        ("training.activation_checkpointing true", {"checkpointing": True}),
        ("training.micro_blocks 1", {"micro_tokens": one_block.micro_tokens}),
        ("quantization nf4", {"quantization": "nf4"}),
        (
            f"training.block_tokens {_LAST_RESORT_TOKENS}",
            {
                "micro_tokens": min(_LAST_RESORT_TOKENS, one_block.micro_tokens),
                "block_tokens": min(_LAST_RESORT_TOKENS, least.block_tokens),
            },
        ),
    )
    setting, said = least, []
    for words, change in changes:
        changed = replace(setting, **change)
        if changed == setting:
            continue
        setting = changed
        said.append(words)
        if room.holds(memory := counter.count(setting)):
            need = memory.peak / (1 - _MARGIN) / _GB
            return MachineError(message, f"with {' and '.join(said)} it needs {need:.1f} GB.")
    need = counter.count(setting).peak / (1 - _MARGIN) / _GB
    return MachineError(
        message,
        f"at the least it would need {need:.1f} GB (nf4, one block of {setting.block_tokens} "
        "tokens at a time, activation checkpointing): take a smaller base or free some memory.",
    )
