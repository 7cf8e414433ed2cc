"""One machine for training and serving: the engines make room for a training that needs it.

lmft.device.hold is the other side: a training waits until every server has said that it has no
engine, and a server starts none until the training has ended, however it does.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Protocol

from lmft import machine
from lmft.device.claims import Claims, Wanted

log = logging.getLogger("lmft.pool")

_LOOK_SECONDS = 0.25
# A full disk, say: trainings wait for this server, which has to try again.
_AFTER_ERROR_SECONDS = 5.0
# Of the engines' memory, for trainings that are being planned. On a GPU it does not change.
_MEASURE_SECONDS = {"cpu": 5.0, "cuda": 30.0}


class Engines(Protocol):
    """What this module needs of the pool."""

    async def give_up_device(self, reason: str, seconds: float | None) -> None:
        """Stop every engine; called again, it only corrects what is expected."""

    async def take_back_device(self) -> None:
        """Start the engines again; returns once they answer."""


class Device:
    """From here until `run` ends trainings reckon with this server.

    `look` once before the first engine starts, then `run`.
    """

    def __init__(self, engines: Engines) -> None:
        self._engines = engines
        self._kind = "cuda" if machine.gpus() else "cpu"
        self._claims = Claims(self._kind)
        self._given_up = False
        self._released = False
        self._coming_back: asyncio.Task[None] | None = None
        self._measured_at = -float("inf")

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                await asyncio.sleep(_LOOK_SECONDS)
                try:
                    await self.look()
                except Exception as error:
                    log.error("unexpected error, trying again", exc_info=error)
                    await asyncio.sleep(_AFTER_ERROR_SECONDS)
        finally:
            self._stay()
            self._claims.close()

    async def look(self) -> None:
        """Do what the trainings of this moment ask for; making room is waited for."""
        wanted = self._claims.wanted()
        if wanted is not None:
            await self._make_room(wanted)
        elif self._given_up:
            self._released = False
            if self._claims.resume():
                log.warning("starting the engines again")
                self._given_up = False
                self._coming_back = asyncio.create_task(self._engines.take_back_device())
        elif time.monotonic() - self._measured_at > _MEASURE_SECONDS[self._kind]:
            await self._measure()

    async def _make_room(self, wanted: Wanted) -> None:
        if not self._given_up:
            log.warning("stopping the engines: %s, about %.0f s", wanted.reason, wanted.seconds)
            # From here on they must be taken back, however far this comes.
            self._given_up = True
            self._stay()
            await self._measure()
        await self._engines.give_up_device(wanted.reason, wanted.seconds)
        if not self._released:
            self._claims.release()
            self._released = True

    def _stay(self) -> None:
        if self._coming_back is not None:
            self._coming_back.cancel()
            self._coming_back = None

    async def _measure(self) -> None:
        await asyncio.to_thread(self._claims.measure)
        self._measured_at = time.monotonic()
