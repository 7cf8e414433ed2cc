"""An engine with larger slots, started beside the one that answers meanwhile."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import replace

from lmft.errors import EngineWakingError, ProbeFailedError
from lmft.train.servable import slot_rank
from serving.engine.probe import ProbeResult
from serving.pool.plan import EnginePlan
from serving.pool.running import Running
from serving.pool.tally import Tally

log = logging.getLogger("lmft.pool")

_DRAIN_SECONDS = 600.0
# To who asks for larger slots while other engines are busy.
_RETRY_SECONDS = 10.0


def larger_plan(plan: EnginePlan, rank: int) -> EnginePlan | None:
    """`plan` with slots for adapters of `rank`; None where its slots are large enough."""
    if plan.slots is None or plan.slots.rank >= rank:
        return None
    return replace(plan, slots=replace(plan.slots, rank=slot_rank(rank)))


def require_memory(
    plan: EnginePlan, rank: int, old: EnginePlan, left: int, left_alone: int
) -> None:
    """For an engine of `plan` beside one of `old`, which has no slots for `rank`.

    Args:
        left: bytes for it now. left_alone: if no engine but these two ran.

    Raises:
        ProbeFailedError: there is never memory for two. EngineWakingError: others have it.
    """
    if plan.need(left).total <= left:
        return
    if plan.need(left_alone).total <= left_alone:
        raise EngineWakingError(
            f"Other engines have the memory that slots for a rank of {rank} need.", _RETRY_SECONDS
        )
    raise ProbeFailedError(
        f"The slots of this engine hold a rank of {old.slots.rank if old.slots else 0}, not "
        f"{rank}, and there is no memory for a second engine.",
        "Start `lmft serve` again: its slots fit every adapter that is published.",
    )


async def successor(
    plan: EnginePlan, old: Running, budget: int, proofs: dict[str, ProbeResult], tally: Tally
) -> Running:
    """Start an engine of `plan`, with all that is loaded in `old` loaded and proven here too.

    Raises:
        EngineError: it did not start.
    """
    log.warning("%s: starting again with larger slots", plan.name)
    new = Running(plan, budget, proofs, tally)
    try:
        tally.starts += 1
        await new.start(old.adapters.loaded() if old.adapters else [], lambda _: None)
    except BaseException:
        await new.stop()
        raise
    return new


class Growth:
    """The engines beside the one that answers: its successor while that starts, and those whose
    place others have taken, each until its last lease ends.

    Attributes:
        starting_bytes: what the successor takes.
    """

    def __init__(self) -> None:
        self.starting_bytes = 0
        self._starting: asyncio.Task[None] | None = None
        self._retiring: dict[asyncio.Task[None], int] = {}

    @property
    def bytes(self) -> int:
        """Memory of all of them."""
        return self.starting_bytes + sum(self._retiring.values())

    async def one(self, grow: Coroutine[None, None, None]) -> None:
        """Run `grow`, or wait for what another has begun; whose end may come before its goal."""
        if self._starting is None:
            self._starting = asyncio.create_task(grow)
            self._starting.add_done_callback(self._grown)
        else:
            grow.close()
        task = self._starting
        # One who stops waiting must not end it for the others.
        await asyncio.wait({task})
        if not task.cancelled():
            task.result()

    def _grown(self, task: asyncio.Task[None]) -> None:
        self._starting, self.starting_bytes = None, 0
        if not task.cancelled():
            # Nobody may be there any more to be told.
            task.exception()

    def retire(self, old: Running, taken_bytes: int) -> None:
        """End `old` with its last lease."""
        task = asyncio.create_task(_retire(old))
        self._retiring[task] = taken_bytes
        task.add_done_callback(self._retiring.pop)

    async def end(self) -> None:
        """All of them now, whatever they have in hand."""
        tasks = [*self._retiring, *([self._starting] if self._starting else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _retire(old: Running) -> None:
    try:
        await old.drain(_DRAIN_SECONDS)
    finally:
        await old.stop()
