"""The device lent to somebody else: every engine stopped, and started again afterwards."""

from __future__ import annotations

import asyncio
import time

from lmft.errors import EngineWakingError
from serving.pool.member import Member
from serving.pool.members import Members

_DRAIN_SECONDS = 30.0
# To those who ask, where nobody knows when it comes back.
_RETRY_SECONDS = 30.0


class Lending:
    """Attributes:
    reason: who has the device, in words; None while it is ours.
    """

    def __init__(self, members: Members) -> None:
        self.reason: str | None = None
        self._until = 0.0
        self._members = members
        self._stopped: list[Member] = []

    async def give_up(self, reason: str, seconds: float | None) -> None:
        """Stop every engine, after its requests or 30 s.

        Args:
            reason: as in "the device trains". seconds: how long, if known; called again with
                what is expected now, it changes only what is said.
        """
        again = self.reason is not None
        self.reason, self._until = reason, time.monotonic() + (seconds or 0)
        awake = self._members.awake()
        if not again:
            self._members.blocked = True
            self._stopped = awake
        # Also when called again: an earlier call may have broken off.
        await asyncio.gather(*(member.sleep(_DRAIN_SECONDS) for member in awake))

    async def take_back(self) -> None:
        """Start again what ran before, with all it had loaded, proven again."""
        self.reason, self._members.blocked = None, False
        woken, self._stopped = self._stopped, []
        for member in woken:
            member.wake()
        for member in woken:
            while member.state == "starting":
                await member.change()

    def require_ours(self) -> None:
        """Raises EngineWakingError while it is another's; says when it is expected back."""
        if self.reason is not None:
            left = self._until - time.monotonic()
            raise EngineWakingError(
                f"Nothing is served at the moment: {self.reason}.",
                left if left > 1 else _RETRY_SECONDS,
            )
