"""One engine of the pool over its starts and ends: asleep, starting, ready or failed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Literal, Protocol

from lmft.errors import EngineError, EngineWakingError, LmftError
from serving.engine.process import to_the_end
from serving.pool.failures import Failures
from serving.pool.plan import EnginePlan, Limits
from serving.pool.running import Running
from serving.pool.starts import Starts
from serving.pool.watchdog import until_ended

log = logging.getLogger("lmft.pool")

MemberState = Literal["asleep", "starting", "ready", "failed"]


class Memory(Protocol):
    """What an engine needs of those who share the memory with it (see room.py)."""

    async def make(self, member: Member) -> int:
        """Return once there is memory for it: how much it may take, in bytes."""

    def give_back(self, member: Member) -> None:
        """Its processes have ended."""

    async def beside(self, member: Member, need: Callable[[int], int]) -> int:
        """Bytes that are left for another engine of it, which needs so much of so many."""


class Member(Starts):
    """Starts its engine when woken, watches it, starts it again when it ends or hangs.

    Attributes:
        state, phase: what it is doing, for code and in words.
        error: why it is `failed`.
        leaving: it has to make room once it is unused, and lets nobody in any more.
    """

    def __init__(
        self,
        plan: EnginePlan,
        limits: Limits,
        starting: asyncio.Lock,
        memory: Memory,
    ) -> None:
        super().__init__(plan, limits.memory_bytes, starting)
        self.state: MemberState = "asleep"
        self.phase = "asleep"
        self.error: LmftError | None = None
        self.leaving = False
        self._limits = limits
        self._memory = memory
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._failures = Failures()

    @property
    def awake(self) -> bool:
        """It has, or is about to have, a process; or its last one has not ended yet."""
        return self._task is not None

    @property
    def ready(self) -> bool:
        """It answers. One that died this moment does not, though nobody has noticed yet."""
        return self.state == "ready" and self.running is not None and self.running.process.running

    def require_ready(self) -> Running:
        """The engine that answers now.

        Raises:
            EngineWakingError: not yet. LmftError: it has failed for good.
        """
        if self.state == "failed" and self.error is not None:
            raise self.error
        running = self.running
        if running is None or not self.ready or self.leaving:
            phase = "it makes room for another" if self.leaving else self.phase
            raise EngineWakingError(
                f"The engine of {self.plan.model.id} is not ready ({phase}).",
                self._estimate.seconds_left(),
            )
        return running

    def wake(self) -> None:
        """Start it, unless it has been already, or was given up a moment ago or for good."""
        if self.state == "failed" and not self.awake and self._failures.forgiven():
            self.error = None
            self._become("asleep", "asleep")
        if self._task is None and self.state == "asleep":
            self._estimate.wait()
            self._become("starting", "waiting for memory")
            self._task = asyncio.create_task(self._live())
            self._task.add_done_callback(self._ended)

    async def change(self) -> None:
        """Wait for its next change of state."""
        await self._changed.wait()

    async def sleep(self, drain_seconds: float = 0) -> None:
        """End the engine, after its leases or so many seconds; what it had loaded is kept in
        mind for its next start.

        Once begun it comes to its end, even if who began it is cancelled; another one who calls
        it meanwhile waits for the same end.
        """
        if (task := self._task) is None:
            return
        try:
            if self.state != "failed":
                # Nobody new is let in from here on.
                self._become("starting", "going to sleep")
                if self.running is not None:
                    await self.running.drain(drain_seconds)
        finally:
            task.cancel()
        # Not `await task`: its cancellation is not to be told from one of who waits here.
        await asyncio.wait({task})

    async def grow(self, rank: int) -> None:
        """Start the engine again with larger slots beside the old one, then change over.

        Nobody notices: the old one answers until the new one has loaded and proven all it had.

        Raises:
            ProbeFailedError: there is no memory for two. EngineError: it did not start.
            EngineWakingError: others have the memory now.
        """
        if self.ready:
            await self._growth.one(self._grow(rank, lambda need: self._memory.beside(self, need)))

    def _become(self, state: MemberState, phase: str) -> None:
        self.state, self.phase = state, phase
        self._changed.set()
        self._changed = asyncio.Event()

    async def _live(self) -> None:
        try:
            self._estimate.budget = await self._memory.make(self)
            hopeless = False
            while not hopeless:
                try:
                    await self._start(lambda phase: self._become("starting", phase))
                    self._failures.ready()
                    self._become("ready", "ready")
                    ended = await until_ended(lambda: self.running, self._limits.hang_seconds)
                    log.error("%s: %s; it is started again", self.plan.name, ended.rstrip("."))
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
            await to_the_end(self._give_back())

    async def _give_back(self) -> None:
        await self._stop_all()
        self._memory.give_back(self)

    def _ended(self, _: asyncio.Task[None]) -> None:
        """Called even where it was cancelled before its first line."""
        self._task, self.leaving = None, False
        if self.state != "failed":
            self._become("asleep", "asleep")

    def _fail(self, error: LmftError) -> None:
        self.error = error
        self._become("failed", "failed")
