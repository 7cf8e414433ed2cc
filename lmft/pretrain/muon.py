"""Muon (Jordan et al. 2024): a matrix's momentum, turned into the nearest orthogonal one.

`torch.optim.Muon` computes it in bfloat16, which a CPU without bfloat16 instructions only
imitates: 16 s a step for the embedded base, where float32 takes 1 s. So this one has the
arithmetic of the device. The step is scaled as in Moonlight (Liu et al. 2025), so that AdamW and
Muon share one learning rate.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch

from lmft.machine import mixes_bf16

# Of the quintic in Jordan's post: five steps bring every singular value near 1.
_A, _B, _C = 3.4445, -4.7750, 2.0315
_STEPS = 5
_MOMENTUM = 0.95
# The root mean square of AdamW's usual step, as Moonlight measured it.
_ADAMW_RMS = 0.2


def orthogonal(matrix_MN: torch.Tensor) -> torch.Tensor:
    """U V^T of the matrix's U S V^T, nearly: singular values end between 0.7 and 1.2."""
    x = matrix_MN.bfloat16() if mixes_bf16(matrix_MN.device.type) else matrix_MN.float()
    if tall := x.size(0) > x.size(1):
        x = x.T
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(_STEPS):
        gram = x @ x.T
        x = _A * x + (_B * gram + _C * gram @ gram) @ x
    orthogonal_MN: torch.Tensor = x.T if tall else x
    return orthogonal_MN.to(matrix_MN.dtype)


class Muon(torch.optim.Optimizer):
    """For matrices only; a group's `lr` may be changed between steps."""

    def __init__(
        self, matrices: Iterable[torch.nn.Parameter], lr: float, weight_decay: float
    ) -> None:
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for matrix in group["params"]:
                state = self.state[matrix]
                if not state:
                    state["momentum"] = torch.zeros_like(matrix)
                momentum = state["momentum"].lerp_(matrix.grad, 1 - _MOMENTUM)
                ahead = matrix.grad.lerp(momentum, _MOMENTUM)
                matrix.mul_(1 - group["lr"] * group["weight_decay"])
                scale = _ADAMW_RMS * math.sqrt(max(matrix.shape))
                matrix.add_(orthogonal(ahead), alpha=-group["lr"] * scale)
