"""An engine with larger slots, started beside the one that answers meanwhile."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from lmft.errors import ProbeFailedError
from lmft.train.servable import slot_rank
from serving.engine.probe import ProbeResult
from serving.pool.running import Running
from serving.pool.tally import Tally

log = logging.getLogger("lmft.pool")

_DRAIN_SECONDS = 600.0


async def larger(
    old: Running, rank: int, budget: int, proofs: dict[str, ProbeResult], tally: Tally
) -> Running | None:
    """Start an engine like `old` with slots for adapters of `rank`, all that is loaded there
    loaded and proven here too; None where its slots are large enough.

    Args:
        budget: bytes that are left beside `old`.

    Raises:
        ProbeFailedError: there is no memory for two. EngineError: it did not start.
    """
    slots = old.plan.slots
    if slots is None or old.adapters is None or slots.rank >= rank:
        return None
    plan = replace(old.plan, slots=replace(slots, rank=slot_rank(rank)))
    if plan.need(budget).total > budget:
        raise ProbeFailedError(
            f"The slots of this engine hold a rank of {slots.rank}, not {rank}, and there is no "
            "memory for a second engine.",
            "Start `lmft serve` again: its slots fit every adapter that is published.",
        )
    log.warning("%s: starting again with slots of rank %s", plan.name, rank)
    new = Running(plan, budget, proofs, tally)
    try:
        tally.starts += 1
        await new.start(old.adapters.loaded(), lambda _: None)
    except BaseException:
        await asyncio.shield(new.stop())
        raise
    return new


class Retiring:
    """Engines whose place others have taken: each ends with its last lease."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def add(self, old: Running) -> None:
        task = asyncio.create_task(_retire(old))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def end(self) -> None:
        """Now, whatever they have in hand."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _retire(old: Running) -> None:
    try:
        await old.drain(_DRAIN_SECONDS)
    finally:
        await asyncio.shield(old.stop())
