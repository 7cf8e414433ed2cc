"""One start of an engine: its process, its adapters, and how many requests it has in hand."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import Callable, Iterable

from lmft.dataset.encode import Encoder
from lmft.errors import EngineError
from lmft.registry.adapters import Adapter
from serving.engine.probe import ProbeResult
from serving.engine.process import EngineProcess
from serving.pool.adapters import EngineAdapters
from serving.pool.lease import Lease
from serving.pool.merging import require_merged
from serving.pool.plan import EnginePlan
from serving.pool.proving import prove_merged
from serving.pool.tally import Tally

_POLL_SECONDS = 0.05


class Running:
    """Attributes:
    leases: requests that are being answered, or wait for their adapter to load.
    used_at: when it last had one, or could first have had; a monotonic time in seconds.
    """

    def __init__(
        self, plan: EnginePlan, budget: int, proofs: dict[str, ProbeResult], tally: Tally
    ) -> None:
        self.plan = plan
        self.process = EngineProcess(plan.settings(budget))
        self.leases = 0
        self.used_at = time.monotonic()
        self._encoder: Encoder | None = None
        self._proofs = proofs
        self.adapters: EngineAdapters | None = None
        if plan.slots is not None:
            self.adapters = EngineAdapters(
                self.process.client, plan.base, plan.slots, proofs, tally
            )

    async def start(self, adapters: Iterable[Adapter], on_progress: Callable[[str], None]) -> None:
        """Start it, and load and prove `adapters` again before anybody is let in.

        Raises:
            EngineError: it does not answer. ProbeFailedError: it is a merged model, and not the
            one that was trained.
        """
        # Read from disk: not in the way of those who are being answered.
        self._encoder = await asyncio.to_thread(lambda: self.plan.base.encoder)
        if self.plan.merged is not None:
            on_progress("merging the adapter into its base")
            await require_merged(self.plan.merged)
        await self.process.start(on_progress)
        on_progress("proving what it serves")
        if self.plan.merged is not None:
            alias = self.plan.model.engine_name
            await prove_merged(self.process.client, self.plan.merged, alias, self._proofs)
        elif self.adapters is not None:
            await self.adapters.load_all(adapters)
        self.used_at = time.monotonic()

    async def lease(self, adapter: Adapter | None) -> Lease:
        """Raises what EngineAdapters.hold raises."""
        if self._encoder is None:
            raise EngineError("The engine has not been started.", "Try again shortly.")
        self.leases += 1
        try:
            if adapter is None or self.adapters is None:
                model, held = self.plan.model, None
            else:
                model, held = await self.adapters.hold(adapter), str(adapter.id)
        except BaseException:
            self.leases -= 1
            raise
        return Lease(
            model=model,
            client=self.process.client,
            encoder=self._encoder,
            context_length=self.plan.base.context_length,
            release=_once(functools.partial(self._release, held)),
        )

    def _release(self, adapter_id: str | None) -> None:
        self.leases -= 1
        self.used_at = time.monotonic()
        if adapter_id is not None and self.adapters is not None:
            self.adapters.release(adapter_id)

    async def drain(self, seconds: float) -> None:
        """Wait until its leases have ended, at most so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.leases and self.process.running:
                    await asyncio.sleep(_POLL_SECONDS)

    async def stop(self, *, kill: bool = False) -> None:
        """End its process now; requests in hand break off with an EngineError.

        Cancelled, it raises that once the process has ended.
        """
        await self.process.stop(kill=kill)


def _once(release: Callable[[], None]) -> Callable[[], None]:
    """A lease that is given back twice must not end somebody else's."""
    pending = [release]
    return lambda: pending.pop()() if pending else None
