"""Whose memory the next engine gets, with engines that only say what they take."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from serving.pool import room
from serving.pool.estimate import Estimate
from serving.pool.room import Room


@dataclass(eq=False)
class AnEngine:
    bytes: int
    leases: int = 0
    state: str = "ready"
    admitted: bool = False
    leaving: bool = False
    used_at: float = 0.0
    room: Room | None = None
    comes_back: bool = False
    returning: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        self.plan = SimpleNamespace(name=f"of {self.bytes}")

    def need_bytes(self, budget: int | None = None) -> int:
        return self.bytes

    async def measure(self) -> None:
        await asyncio.sleep(0)

    async def sleep(self) -> None:
        await asyncio.sleep(0)
        self.leaving = self.admitted = False
        assert self.room is not None
        self.room.give_back(self)
        if self.comes_back:
            self.returning = asyncio.create_task(admit(self.room, self))
            # It stands in line before the other has looked again.
            await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_POLL_SECONDS", 0.001)


async def admit(into: Room, *engines: AnEngine) -> None:
    for engine in engines:
        engine.room = into
        await into.make(engine)
        engine.admitted = True


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


def test_one_that_fits_beside_a_busy_engine_does_not_wait_behind_one_that_does_not() -> None:
    async def scenario() -> None:
        into, busy, large, small = Room(10), AnEngine(6, 1), AnEngine(8), AnEngine(4)
        await admit(into, busy)
        waiting = asyncio.create_task(admit(into, large))
        await asyncio.sleep(0.01)
        async with asyncio.timeout(5):
            await admit(into, small)
        small.leases = 1
        assert not waiting.done()
        busy.leases = small.leases = 0
        await waiting
        assert not busy.admitted
        assert not small.admitted

    asyncio.run(scenario())


def test_one_that_is_never_idle_has_to_let_the_other_have_its_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room, "_PATIENCE_SECONDS", 0.05)

    async def scenario() -> None:
        into, busy, large, small = Room(10), AnEngine(6, 1), AnEngine(8), AnEngine(4)
        await admit(into, busy)
        waiting = asyncio.create_task(admit(into, large))
        await until(lambda: busy.leaving)
        assert busy.admitted
        # Nor does a third one take what is being freed.
        late = asyncio.create_task(admit(into, small))
        await asyncio.sleep(0.02)
        assert not late.done()
        busy.leases, busy.used_at = 0, time.monotonic()
        await waiting
        assert not busy.admitted
        large.leases, large.used_at = 1, time.monotonic()
        await until(lambda: large.leaving)
        large.leases = 0
        await late

    asyncio.run(scenario())


def test_one_that_was_put_to_sleep_and_is_asked_at_once_does_not_take_its_memory_back() -> None:
    async def scenario() -> None:
        into, idle, other = Room(10), AnEngine(6, comes_back=True), AnEngine(8)
        await admit(into, idle)
        async with asyncio.timeout(5):
            await admit(into, other)
        other.leases = 1
        assert idle.returning is not None
        await asyncio.sleep(0.02)
        assert not idle.returning.done()
        idle.returning.cancel()

    asyncio.run(scenario())


def test_who_stops_waiting_closes_no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_PATIENCE_SECONDS", 0.01)

    async def scenario() -> None:
        into, busy = Room(10), AnEngine(6, 1)
        await admit(into, busy)
        waiting = asyncio.create_task(admit(into, AnEngine(8)))
        await until(lambda: busy.leaving)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert not busy.leaving

    asyncio.run(scenario())


def test_what_is_left_beside_an_engine_is_what_nobody_has() -> None:
    async def scenario() -> None:
        into, growing, other = Room(10), AnEngine(3), AnEngine(4, 1)
        await admit(into, growing, other)
        assert await into.beside(growing, lambda _: 5) == 3
        other.leases = 0
        assert await into.beside(growing, lambda _: 5) == 7
        assert growing.admitted
        assert not other.admitted

    asyncio.run(scenario())


def test_who_waits_for_memory_is_not_told_that_it_takes_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    estimate = Estimate(1)
    estimate.begin()
    now[0] += 20
    estimate.ready()
    estimate.wait()
    now[0] += 1000
    assert estimate.seconds_left() == 20
    estimate.begin()
    now[0] += 5
    assert estimate.seconds_left() == 15
