"""Which documents share a block: told to the attention at every step, past the model's own code.

transformers' models hand keyword arguments on to their attention, but not all of them, and none
through activation checkpointing. So the current segments stand here, from the forward call that
brings them until the next one (a checkpointed backward call needs them once more).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch


@dataclass(frozen=True)
class Segments:
    """Stretches of a batch of blocks (B, T), laid end to end, that attend to themselves only.

    Attributes:
        starts: (S + 1,) int32, where each segment starts in the B * T tokens, and the end.
        longest: tokens of the longest one.
    """

    starts: torch.Tensor
    longest: int

    @cached_property
    def lengths(self) -> list[int]:
        """Waits for the device: only for paths that run on the CPU."""
        lengths: list[int] = self.starts.diff().tolist()
        return lengths

    def numbers(self, n_tokens: int) -> torch.Tensor:
        """(n_tokens,) the number of the segment that each token is in."""
        tokens = torch.arange(n_tokens, device=self.starts.device, dtype=self.starts.dtype)
        return torch.searchsorted(self.starts, tokens, right=True)


def rows_as_segments(n_rows: int, length: int, device: torch.device) -> Segments:
    """Each of the rows of (n_rows, length) tokens as a segment of its own."""
    starts = torch.arange(0, n_rows * length + 1, length, device=device, dtype=torch.int32)
    return Segments(starts, length)


_current: Segments | None = None


def set_segments(segments: Segments | None) -> None:
    """None: each row is one segment."""
    global _current
    _current = segments


def current_segments() -> Segments | None:
    return _current
