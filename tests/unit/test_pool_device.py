"""Room for trainings: what goes wrong on the way is tried again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from lmft import machine
from lmft.device.claims import Wanted
from serving.pool import device
from serving.pool.device import Device
from serving.pool.lending import Lending


class Once:
    """Raises at its first call, and says from then on that it was called."""

    def __init__(self, error: Exception) -> None:
        self.pending = [error]
        self.calls = 0

    def __call__(self) -> bool:
        if self.pending:
            raise self.pending.pop()
        self.calls += 1
        return True


class TheClaims:
    def __init__(self) -> None:
        self.training: Wanted | None = Wanted("a", 9)
        self.wanted_fails = Once(OSError("a directory that went away"))
        self.measure = Once(OSError("no driver"))
        self.release = Once(OSError("the disk is full"))
        self.resume = Once(OSError("the disk is full"))

    def wanted(self) -> Wanted | None:
        self.wanted_fails()
        return self.training

    def close(self) -> None:
        pass


class TheEngines:
    def __init__(self) -> None:
        self.stop = Once(ValueError("unexpected"))
        self.back = 0

    async def give_up_device(self, reason: str, seconds: float | None) -> None:
        self.stop()

    async def take_back_device(self) -> None:
        self.back += 1


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


def test_whatever_fails_once_the_device_is_given_and_taken_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machine, "gpus", list)
    monkeypatch.setattr(device, "Claims", lambda _: claims)
    monkeypatch.setattr(device, "_LOOK_SECONDS", 0.001)
    monkeypatch.setattr(device, "_AFTER_ERROR_SECONDS", 0.001)
    claims, engines = TheClaims(), TheEngines()

    async def scenario() -> None:
        running = asyncio.create_task(Device(engines).run())
        await until(lambda: claims.release.calls)
        assert engines.stop.calls
        await asyncio.sleep(0.02)
        assert claims.release.calls == 1
        claims.training = None
        await until(lambda: engines.back)
        assert engines.back == claims.resume.calls == 1
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(scenario())


def test_a_device_that_was_given_up_in_part_is_given_up_by_the_next_call() -> None:
    awake = ["one"]

    async def sleep(_: float) -> None:
        if len(awake) == 1:
            awake.append("failed")
            raise OSError("broken off")
        awake.clear()

    member = SimpleNamespace(sleep=sleep)
    members = SimpleNamespace(blocked=False, awake=lambda: [member] if awake else [])

    async def scenario() -> None:
        lending = Lending(members)
        with pytest.raises(OSError, match="broken off"):
            await lending.give_up("it trains", 9)
        assert members.blocked
        await lending.give_up("it trains", 9)
        assert not awake

    asyncio.run(scenario())
