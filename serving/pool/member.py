"""One engine of the pool over its starts and ends: asleep, starting, ready or failed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Literal

from lmft.errors import EngineError, EngineWakingError, LmftError
from lmft.registry.adapters import Adapter
from serving.engine.probe import ProbeResult
from serving.pool.estimate import Estimate
from serving.pool.failures import Failures
from serving.pool.growing import Retiring, larger
from serving.pool.plan import EnginePlan, Limits
from serving.pool.running import Running
from serving.pool.tally import Tally
from serving.pool.watchdog import until_ended

log = logging.getLogger("lmft.pool")

MemberState = Literal["asleep", "starting", "ready", "failed"]


class Member:
    """Starts its engine when woken, watches it, starts it again when it ends or hangs.

    Args:
        starting: held while an engine starts, so that no two do at the same moment.
        make_room: returns once there is memory for it: how much it may take, in bytes.

    Attributes:
        state, phase: what it is doing, for code and in words.
        running: the engine that answers now. error: why it is `failed`.
        proofs: what has been proven, by id. tally: what it has done so far.
    """

    def __init__(
        self,
        plan: EnginePlan,
        limits: Limits,
        starting: asyncio.Lock,
        make_room: Callable[[Member], Awaitable[int]],
    ) -> None:
        self.plan = plan
        self.state: MemberState = "asleep"
        self.phase = "asleep"
        self.running: Running | None = None
        self.error: LmftError | None = None
        self.proofs: dict[str, ProbeResult] = {}
        self.tally = Tally()
        self.used_at = time.monotonic()
        self._limits = limits
        self._starting = starting
        self._make_room = make_room
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._again: list[Adapter] = []
        self._retiring = Retiring()
        self._failures = Failures()
        self._estimate = Estimate(limits.memory_bytes)

    @property
    def awake(self) -> bool:
        """It has, or is about to have, a process."""
        return self._task is not None and not self._task.done()

    @property
    def ready(self) -> bool:
        """It answers. One that died this moment does not, though nobody has noticed yet."""
        return self.state == "ready" and self.running is not None and self.running.process.running

    @property
    def leases(self) -> int:
        return self.running.leases if self.running else 0

    def need_bytes(self, budget: int | None = None) -> int:
        """Memory that it takes, or would if it might take `budget`."""
        return self._estimate.need_bytes(self.plan, budget)

    def require_ready(self) -> Running:
        """The engine that answers now.

        Raises:
            EngineWakingError: not yet. LmftError: it has failed for good.
        """
        if self.state == "failed" and self.error is not None:
            raise self.error
        running = self.running
        if running is None or not self.ready:
            raise EngineWakingError(
                f"The engine of {self.plan.model.id} is not ready ({self.phase}).",
                self._estimate.seconds_left(),
            )
        self.used_at = time.monotonic()
        return running

    def wake(self) -> None:
        """Start it, unless it has been already, or was given up a moment ago or for good."""
        if self.state == "failed" and not self.awake and self._failures.forgiven():
            self.error, self._task = None, None
            self._become("asleep", "asleep")
        if self._task is None and self.state == "asleep":
            self._estimate.begin()
            self._become("starting", "waiting for memory")
            self._task = asyncio.create_task(self._live())

    async def change(self) -> None:
        """Wait for its next change of state."""
        await self._changed.wait()

    async def measure(self) -> None:
        """Correct the estimate of its memory by what it takes now."""
        if self.running is not None and self.running.process.pid is not None:
            await self._estimate.measure(self.plan, self.running.process.pid)

    async def sleep(self, drain_seconds: float = 0) -> None:
        """End the engine, after its leases or so many seconds; what it had loaded is kept in
        mind for its next start."""
        if self.state == "failed":
            return
        # Nobody new is let in from here on.
        self._become("starting", "going to sleep")
        if self.running is not None:
            await self.running.drain(drain_seconds)
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._become("asleep", "asleep")

    async def grow(self, rank: int) -> None:
        """Start the engine again with larger slots beside the old one, then change over.

        Nobody notices: the old one answers until the new one has loaded and proven all it had.

        Raises:
            ProbeFailedError: there is no memory for two. EngineError: it did not start.
        """
        async with self._starting:
            if (old := self.running) is None:
                return
            budget = self._limits.memory_bytes - self.need_bytes()
            new = await larger(old, rank, budget, self.proofs, self.tally)
            if new is None:
                return
            if self.running is not old:
                # It died or was put to sleep meanwhile.
                await asyncio.shield(new.stop())
                return
            self.plan, self.running = new.plan, new
            self._retiring.add(old)

    def _become(self, state: MemberState, phase: str) -> None:
        self.state, self.phase = state, phase
        self._changed.set()
        self._changed = asyncio.Event()

    async def _live(self) -> None:
        try:
            self._estimate.budget = await self._make_room(self)
            hopeless = False
            while not hopeless:
                try:
                    await self._start()
                    ended = await until_ended(lambda: self.running, self._limits.hang_seconds)
                    log.error("%s: %s", self.plan.name, ended)
                    self._estimate.begin()
                    self._become("starting", "the engine ended, starting it again")
                    error: LmftError = EngineError("The engine ends again and again.")
                except LmftError as caught:
                    log.error("%s: %s", self.plan.name, caught)
                    error = caught
                await self._stop(kill=True)
                if hopeless := self._failures.hopeless(error):
                    self._fail(error)
                else:
                    await self._failures.back_off()
        except Exception as error:
            log.error("unexpected error", exc_info=error)
            self._fail(EngineError("The engine could not be used.", "lmft's log says more."))
        finally:
            await asyncio.shield(asyncio.gather(self._retiring.end(), self._stop()))

    async def _start(self) -> None:
        async with self._starting:
            self._estimate.begin()
            running = Running(self.plan, self._estimate.budget, self.proofs, self.tally)
            self.running = running
            self.tally.starts += 1
            await running.start(self._again, lambda phase: self._become("starting", phase))
            self._again = []
            self._estimate.ready()
            await self.measure()
        self.used_at = time.monotonic()
        self._failures.ready()
        self._become("ready", "ready")

    def _fail(self, error: LmftError) -> None:
        self.error = error
        self._become("failed", "failed")

    async def _stop(self, *, kill: bool = False) -> None:
        running, self.running = self.running, None
        if running is not None:
            loaded = running.adapters.loaded() if running.adapters else []
            # It may have ended before it had loaded again all that it should.
            self._again = [one for one in self._again if one not in loaded] + loaded
            await running.stop(kill=kill)
