"""A lease on a model, which may have to be loaded, and its engine started, for it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

from lmft.errors import EngineError, EngineWakingError
from serving.engine.probe import ParityError
from serving.pool.adapters import RankAboveSlots
from serving.pool.lease import Lease
from serving.pool.lending import Lending
from serving.pool.members import Members
from serving.pool.names import Names

_POLL_SECONDS = 0.1


class Leasing:
    """Asks again until the model can be asked, or it is certain that it cannot."""

    def __init__(self, names: Names, members: Members, lending: Lending) -> None:
        self._names = names
        self._members = members
        self._lending = lending

    async def lease(
        self,
        model: str,
        *,
        wait_seconds: float = 0,
        aside: Callable[[], contextlib.AbstractAsyncContextManager[None]] = contextlib.nullcontext,
    ) -> Lease:
        """The model of an id, alias or base's name, loaded and proven first if need be.

        Args:
            wait_seconds: how long to wait for an engine that must first start.
            aside: entered while it waits for that.

        Raises:
            NotFoundError: no such model; it is never answered by another one.
            EngineWakingError: its engine must first start; says when to ask again.
            ProbeFailedError, AdapterCorruptError, EngineError: it is there and cannot be served.
        """
        deadline = time.monotonic() + wait_seconds
        while True:
            try:
                if (lease := await self._lease(model)) is not None:
                    return lease
                continue
            except EngineWakingError:
                if time.monotonic() >= deadline:
                    raise
            async with aside():
                await self._awake(model, deadline)

    async def _lease(self, model: str) -> Lease | None:
        """None: not from this engine; what takes its place is to be asked."""
        asked = await self._names.find(model)
        self._lending.require_ours()
        member = self._members.woken(*asked)
        running = member.require_ready()
        try:
            return await running.lease(asked.adapter)
        except RankAboveSlots as error:
            await member.grow(error.rank)
        except ParityError as error:
            base, adapter = asked
            if adapter is None or not self._members.merge_instead(base, adapter, error):
                raise
        except EngineError:
            if running is member.running and running.process.running:
                raise
        return None

    async def _awake(self, model: str, deadline: float) -> None:
        """Wait until its engine answers, at most until `deadline` in monotonic seconds."""
        while (left := deadline - time.monotonic()) > 0:
            # First, since an engine that answers may still not have room for this adapter.
            await asyncio.sleep(min(left, _POLL_SECONDS))
            # Looked up anew each time: what has been deleted meanwhile wakes nothing.
            asked = await self._names.find(model)
            with contextlib.suppress(EngineWakingError):
                self._lending.require_ours()
                self._members.woken(*asked).require_ready()
                return
