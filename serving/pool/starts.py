"""The starts of one engine: which one answers now, which are beside it, how the next begins."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from lmft.registry.adapters import Adapter
from serving.engine.probe import ProbeResult
from serving.pool.estimate import Estimate
from serving.pool.growing import Growth, larger_plan, require_memory, successor
from serving.pool.plan import EnginePlan
from serving.pool.running import Running
from serving.pool.tally import Tally


class Starts:
    """Args:
        memory_bytes: for all engines together.
        starting: held while an engine starts, so that no two do at the same moment.

    Attributes:
        running: the engine that answers now.
        proofs: what has been proven, by id. tally: what it has done so far.
    """

    def __init__(self, plan: EnginePlan, memory_bytes: int, starting: asyncio.Lock) -> None:
        self.plan = plan
        self.running: Running | None = None
        self.proofs: dict[str, ProbeResult] = {}
        self.tally = Tally()
        self._memory_bytes = memory_bytes
        self._starting = starting
        self._again: list[Adapter] = []
        self._growth = Growth()
        self._estimate = Estimate(memory_bytes)

    @property
    def leases(self) -> int:
        return self.running.leases if self.running else 0

    @property
    def used_at(self) -> float:
        """When somebody last asked it, or had its answer; a monotonic time in seconds."""
        return self.running.used_at if self.running else 0.0

    def need_bytes(self, budget: int | None = None) -> int:
        """Memory that it takes, or would if it might take `budget`."""
        return self._estimate.need_bytes(self.plan, budget) + self._growth.bytes

    async def measure(self) -> None:
        """Correct the estimate of its memory by what it takes now."""
        if self.running is not None and self.running.process.pid is not None:
            await self._estimate.measure(self.plan, self.running.process.pid)

    async def _start(self, on_progress: Callable[[str], None]) -> None:
        async with self._starting:
            self._estimate.begin()
            running = Running(self.plan, self._estimate.budget, self.proofs, self.tally)
            self.running = running
            self.tally.starts += 1
            await running.start(self._again, on_progress)
            self._again = []
            self._estimate.ready()
            await self.measure()

    async def _stop(self, *, kill: bool = False) -> None:
        running, self.running = self.running, None
        if running is not None:
            loaded = running.adapters.loaded() if running.adapters else []
            # It may have ended before it had loaded again all that it should.
            self._again = [one for one in self._again if one not in loaded] + loaded
            await running.stop(kill=kill)

    async def _stop_all(self) -> None:
        await asyncio.gather(self._growth.end(), self._stop())

    async def _grow(
        self, rank: int, beside: Callable[[Callable[[int], int]], Awaitable[int]]
    ) -> None:
        """Args: beside: bytes that are left for an engine that would need so much of so many."""
        async with self._starting:
            old, plan = self.running, larger_plan(self.plan, rank)
            if old is None or plan is None:
                return
            left = await beside(lambda budget: plan.need(budget).total)
            alone = self._memory_bytes - self._estimate.need_bytes(old.plan)
            require_memory(plan, rank, old.plan, left, alone)
            # From here on nobody else is given it.
            self._growth.starting_bytes = plan.need(left).total
            new = await successor(plan, old, left, self.proofs, self.tally)
            if self.running is not old:
                # It died meanwhile.
                await new.stop()
                return
            self._growth.retire(old, self._estimate.need_bytes(old.plan))
            self._growth.starting_bytes = 0
            self.plan, self.running, self._estimate.budget = plan, new, left
            await self.measure()
