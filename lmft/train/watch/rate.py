"""How fast it trains: tokens per second, and as a share of what the hardware could (MFU)."""

from __future__ import annotations

from typing import Any

from lmft.train import processes
from lmft.train.planning.flops import flops_per_token, peak_flops
from lmft.train.planning.plan import Plan
from lmft.train.recipe import Lora

_SMOOTHING = 0.9


class Smoothed:
    """Exponential moving average without the usual pull towards its first value.

    (Kingma and Ba 2015, section 3: the weights of what came so far are made to add up to 1.)
    """

    def __init__(self) -> None:
        self._sum = self._weights = 0.0

    def add(self, value: float) -> float:
        """The average with `value` in it."""
        self._sum = _SMOOTHING * self._sum + (1 - _SMOOTHING) * value
        self._weights = _SMOOTHING * self._weights + (1 - _SMOOTHING)
        return self._sum / self._weights


class Rate:
    """Turns tokens per second into MFU (model FLOPs utilisation, Chowdhery et al. 2022)."""

    def __init__(self, config: Any, lora: Lora, plan: Plan) -> None:
        """
        Args:
            config: the base's configuration, of transformers.
        """
        # What is computed twice to save memory is no use to the model: it does not count.
        self._flops_per_token = flops_per_token(
            config, lora, plan.block_tokens, checkpointing=False
        )
        # A CPU's peak can only be measured, and not while others use the CPU.
        peak = peak_flops(plan.device) if plan.device == "cuda" else None
        self._peak_flops = None if peak is None else peak * processes.count()

    def mfu(self, tokens_per_second: float) -> float | None:
        """A share of 1; None where no data sheet says the hardware's peak."""
        if self._peak_flops is None:
            return None
        return tokens_per_second * self._flops_per_token / self._peak_flops
