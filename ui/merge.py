"""Several streams side by side, none waiting for another.

Gradio runs the listeners of one click one after the other, and pulls a generator at its own
pace. So the pages run one generator, and this pulls every stream at once beneath it: each has
its own task and its own tray, and the page collects the trays at most every `PERIOD` seconds.
Uncoalesced, a fast model floods the browser: 2 seconds of text took 10 to draw.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Generic, TypeVar

PERIOD = 0.05

T = TypeVar("T")


@dataclass
class Update(Generic[T]):
    """What one stream brought since the last look at it."""

    index: int
    items: list[T] = field(default_factory=list)
    error: Exception | None = None
    finished: bool = False


async def merge(
    streams: Sequence[AsyncGenerator[T, None]],
    *,
    stop: asyncio.Event | None = None,
    period: float = PERIOD,
) -> AsyncGenerator[list[Update[T]], None]:
    """Yield the news of all streams until each has ended or `stop` is set.

    A stream that raises ends alone, with its error in its own update. However this generator
    ends (streams over, `stop`, or the consumer closes it), every stream is closed before it
    returns, so nothing goes on upstream that nobody reads.
    """
    news = asyncio.Event()
    trays = [Update[T](index) for index in range(len(streams))]

    async def pump(index: int) -> None:
        try:
            async with aclosing(streams[index]) as stream:
                async for item in stream:
                    trays[index].items.append(item)
                    news.set()
        except Exception as error:
            # Kept beside the stream that failed: the other columns go on.
            trays[index].error = error
        trays[index].finished = True
        news.set()

    async def ring_when_stopped(stopped: asyncio.Event) -> None:
        await stopped.wait()
        news.set()

    pumps = [asyncio.create_task(pump(index)) for index in range(len(streams))]
    bell = [asyncio.create_task(ring_when_stopped(stop))] if stop else []
    running = len(pumps)
    try:
        while running:
            await news.wait()
            news.clear()
            full = [tray for tray in trays if tray.items or tray.error or tray.finished]
            for tray in full:
                trays[tray.index] = Update(tray.index)
            running -= sum(tray.finished for tray in full)
            if full:
                yield full
            if stop and stop.is_set():
                return
            if running:
                # Ends early only when every stream is over: the pause that coalesces.
                await asyncio.wait(pumps, timeout=period)
    finally:
        for task in [*pumps, *bell]:
            task.cancel()
        await asyncio.gather(*pumps, *bell, return_exceptions=True)
