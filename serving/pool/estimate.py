"""What is to be expected of an engine: how long its start takes, and how much memory it needs.

Both are guesses until it has run once, and what was measured afterwards.
"""

from __future__ import annotations

import asyncio
import time

from lmft import machine
from serving.pool import memory
from serving.pool.plan import EnginePlan

_CPU_START_SECONDS, _GPU_START_SECONDS = 30.0, 60.0


class Estimate:
    """Args: budget: bytes that the engine may take."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self._start_seconds = _GPU_START_SECONDS if machine.gpus() else _CPU_START_SECONDS
        self._begun_at: float | None = None
        self._beyond_bytes = 0

    def wait(self) -> None:
        """It is to be started, once there is memory for it."""
        self._begun_at = None

    def begin(self) -> None:
        """It is being started."""
        self._begun_at = time.monotonic()

    def seconds_left(self) -> float:
        """Until it is likely to be ready: what the last start took, less what has passed."""
        return max(1.0, self._start_seconds - self._passed())

    def ready(self) -> None:
        """Its start took from the last `begin` until now."""
        self._start_seconds = self._passed()

    def _passed(self) -> float:
        return 0.0 if self._begun_at is None else time.monotonic() - self._begun_at

    def need_bytes(self, plan: EnginePlan, budget: int | None = None) -> int:
        """Memory that it takes, or would if it might take `budget`."""
        estimate = plan.need(self.budget if budget is None else budget).total
        return max(0, estimate + self._beyond_bytes)

    async def measure(self, plan: EnginePlan, pid: int) -> None:
        """Correct it by what the engine of this process takes now."""
        if not machine.gpus() and (taken := await asyncio.to_thread(memory.taken_bytes, pid)):
            self._beyond_bytes = taken - plan.need(self.budget).total
