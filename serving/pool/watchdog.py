"""Has an engine ended, or does it give no token any more? /health alone can be green on both.

One that is only busy lives: it may have no token for us while it works for others, and none for
anybody while it computes one long step.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from lmft.errors import EngineError
from serving.engine.work import counted, processor_seconds
from serving.pool.running import Running

_WATCH_SECONDS = 0.25
# Between two looks at an engine's figures, while it is waited for.
_LOOK_SECONDS = 1.0
# Of one core, over half of `hang_seconds`. A step that is being computed takes more, an engine
# whose processes wait for something next to nothing.
_BUSY_CORES = 0.5
# Times `hang_seconds`, of an engine that computes and has no token: the reading of a long prompt
# takes so long on a CPU, and what turns in circles must end some day.
_PATIENCE = 10


async def until_ended(current: Callable[[], Running | None], hang_seconds: float) -> str:
    """Wait until the current engine can answer no more; says why.

    An engine that has just said something is alive. One whose last answer failed is asked for
    one token at once; one that has been quiet for half of `hang_seconds`, then. It has the other
    half to give it, or to get on with what it has in hand (see `_heard`).

    Args:
        current: another engine may take the first one's place; then that one is watched.
    """
    asked_at = time.monotonic()
    while (running := current()) is not None:
        if not running.process.running:
            return "the engine exited"
        client = running.process.client
        quiet = time.monotonic() - max(asked_at, client.heard_at)
        if client.doubtful or quiet > hang_seconds / 2:
            asked_at = time.monotonic()
            try:
                await _heard(running, current, hang_seconds)
            except EngineError as error:
                if running is current() and client.heard_at < asked_at:
                    return error.message
        await asyncio.sleep(_WATCH_SECONDS)
    return "it was stopped"


async def _heard(
    running: Running, current: Callable[[], Running | None], hang_seconds: float
) -> None:
    """Ask for one token, and return once that or anything else shows that the engine goes on:
    somebody's answer, or a token more in its figures. Also once it is not to be watched any more.

    The token that was asked for may stand behind the work of many others, so its absence alone
    says nothing. Where the figures stand still too, but its processes compute, it has
    `_PATIENCE` times `hang_seconds` since it was last heard.

    Raises:
        EngineError: it failed to answer, or has shown nothing for half of `hang_seconds`.
    """
    process, client = running.process, running.process.client
    asked_at = began = time.monotonic()
    patient_until = client.heard_at + _PATIENCE * hang_seconds
    look_seconds = min(_LOOK_SECONDS, hang_seconds / 8)
    cores = _Cores(process.pid)
    figures: tuple[str, ...] | None = None
    question = asyncio.create_task(
        client.one_token(running.plan.model.engine_name, _PATIENCE * hang_seconds)
    )
    try:
        # Mostly the token is there before the first look, which costs a request.
        while not await _ended_within(question, look_seconds):
            if running is not current() or not process.running or client.heard_at >= asked_at:
                return
            now = counted(await client.metrics())
            if figures is None:
                await cores.busy()
            elif figures and now and now != figures:
                client.heard_at = time.monotonic()
                return
            figures = now or figures or ()
            if time.monotonic() - began < hang_seconds / 2:
                continue
            if await cores.busy() < _BUSY_CORES or time.monotonic() > patient_until:
                silent = time.monotonic() - asked_at
                raise EngineError(f"The engine gave no token within {silent:.0f} s.")
            began = time.monotonic()
        await question
    finally:
        question.cancel()
        await asyncio.gather(question, return_exceptions=True)


async def _ended_within(task: asyncio.Task[None], seconds: float) -> bool:
    await asyncio.wait({task}, timeout=seconds)
    return task.done()


class _Cores:
    """Args:
    session: whose processes; None where there is none.
    """

    def __init__(self, session: int | None) -> None:
        self._session = session
        self._taken, self._at = 0.0, -float("inf")

    async def busy(self) -> float:
        """How many cores they have kept busy since this was last asked, on average; 0 at first."""
        if self._session is None:
            return 0.0
        taken = await asyncio.to_thread(processor_seconds, self._session)
        now = time.monotonic()
        cores = (taken - self._taken) / (now - self._at)
        self._taken, self._at = taken, now
        return cores
