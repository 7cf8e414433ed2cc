"""Whose memory the next engine gets."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from serving.pool.member import Member

log = logging.getLogger("lmft.pool")

_POLL_SECONDS = 0.25
# One that was used just now is not put to sleep: two that take turns would never answer.
_GRACE_SECONDS = 5.0
# After that long one that is never idle has to make room too: to its own clients it then is an
# engine that must first start, as the other was to its clients.
_PATIENCE_SECONDS = 60.0


class Room:
    """Args: memory_bytes: for all engines together."""

    def __init__(self, memory_bytes: int) -> None:
        self._memory_bytes = memory_bytes
        self._admitted: set[Member] = set()
        # When each began to wait, the first one first.
        self._waiting: dict[Member, float] = {}
        # Two that look at the same moment would end two engines where one is enough. Held for
        # one look: who fits beside a busy engine does not wait behind one who does not.
        self._looking = asyncio.Lock()
        self._leaving: Member | None = None

    def fits(self, member: Member) -> bool:
        """May it start without another engine's end?"""
        others = self._admitted - {member}
        left = self._left_by(others)
        # One always fits: what the machine has is what there is.
        return not others or member.need_bytes(left) <= left

    async def make(self, member: Member) -> int:
        """Put idle engines to sleep, the longest unused first, until `member` fits; wait for one
        to become idle where none is. Returns the bytes that are left for it."""
        self._waiting[member] = time.monotonic()
        try:
            while not await self._admit(member):
                await asyncio.sleep(_POLL_SECONDS)
            return self._left_by(self._admitted - {member})
        finally:
            del self._waiting[member]
            if self._leaving is not None and not self._anybody_overdue():
                self._leaving.leaving = False
                self._leaving = None

    async def beside(self, member: Member, need: Callable[[int], int]) -> int:
        """Bytes that are left for another engine beside this one, idle ones put to sleep as far
        as it needs their memory. `need`: what it would take if it might take so many."""
        async with self._looking:
            while need(left := self._left_by(self._admitted)) > left:
                await self._measure()
                if (idle := self._longest_idle(member)) is None:
                    break
                await _end(idle, member)
            return left

    def give_back(self, member: Member) -> None:
        """It has no process any more."""
        self._admitted.discard(member)

    async def _admit(self, member: Member) -> bool:
        async with self._looking:
            if not self._has_its_turn(member):
                return False
            while not self.fits(member):
                if not await self._end_one(member):
                    return False
            self._admitted.add(member)
            return True

    def _left_by(self, members: set[Member]) -> int:
        return self._memory_bytes - sum(other.need_bytes() for other in members)

    def _anybody_overdue(self) -> bool:
        now = time.monotonic()
        return any(now - since > _PATIENCE_SECONDS for since in self._waiting.values())

    def _has_its_turn(self, member: Member) -> bool:
        """What is freed for one who has waited long is not taken by who came later."""
        return not self._anybody_overdue() or next(iter(self._waiting)) is member

    async def _end_one(self, member: Member) -> bool:
        """Put an engine to sleep that need not stay; False where all must."""
        await self._measure()
        if self.fits(member):
            return True
        if (other := self._longest_idle(member)) is None and self._anybody_overdue():
            other = self._close_to_new_ones(member)
        if other is None:
            return False
        await _end(other, member)
        return True

    def _close_to_new_ones(self, member: Member) -> Member | None:
        """The engine that has to leave although it is in use, once it is in use no more."""
        if self._leaving is None or self._leaving not in self._admitted - {member}:
            ready = [other for other in self._admitted - {member} if other.state == "ready"]
            if not ready:
                return None
            self._leaving = min(ready, key=lambda other: (other.leases, other.used_at))
        self._leaving.leaving = True
        return None if self._leaving.leases else self._leaving

    def _longest_idle(self, member: Member) -> Member | None:
        now = time.monotonic()
        idle = [
            other
            for other in self._admitted - {member}
            if other.state == "ready" and not other.leases and now - other.used_at > _GRACE_SECONDS
        ]
        return min(idle, key=lambda other: other.used_at, default=None)

    async def _measure(self) -> None:
        for other in list(self._admitted):
            await other.measure()


async def _end(other: Member, member: Member) -> None:
    log.warning("%s sleeps, to make room for %s", other.plan.name, member.plan.name)
    await other.sleep()
