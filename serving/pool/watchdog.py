"""Has an engine ended, or does it give no token any more? /health alone can be green on both."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from lmft.errors import EngineError
from serving.pool.running import Running

_WATCH_SECONDS = 0.25


async def until_ended(current: Callable[[], Running | None], hang_seconds: float) -> str:
    """Wait until the current engine can answer no more; says why.

    An engine that has just said something is alive. One whose last answer failed is asked for
    one token at once; one that has been quiet for half of `hang_seconds`, then. It has the other
    half to give it.

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
                await client.one_token(running.plan.model.engine_name, hang_seconds / 2)
            except EngineError as error:
                if running is current() and client.heard_at < asked_at:
                    return error.message
        await asyncio.sleep(_WATCH_SECONDS)
    return "it was stopped"
