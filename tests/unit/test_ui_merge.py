"""Streams side by side: none waits for another, none outlives the reader."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import aclosing
from typing import Any

import pytest

from ui.merge import Update, merge


def run(test: Coroutine[Any, Any, None]) -> None:
    """A test that hangs fails; how long anything takes is not asserted."""
    asyncio.run(asyncio.wait_for(test, 30))


class Stream:
    """Yields its items; an `asyncio.Event` among them is waited for, an exception raised."""

    def __init__(self, *items: object) -> None:
        self._items = items
        self.closed = False

    async def __call__(self) -> AsyncGenerator[object, None]:
        try:
            for item in self._items:
                if isinstance(item, asyncio.Event):
                    await item.wait()
                elif isinstance(item, Exception):
                    raise item
                else:
                    yield item
        finally:
            self.closed = True


async def until_finished(
    news: AsyncIterator[list[Update[object]]], index: int
) -> dict[int, list[object]]:
    """What each stream brought up to the end of stream `index`."""
    seen: dict[int, list[object]] = {}
    async for updates in news:
        for update in updates:
            seen.setdefault(update.index, []).extend(update.items)
        if any(update.index == index and update.finished for update in updates):
            return seen
    raise AssertionError("ended too early")


def test_a_fast_stream_ends_while_a_slow_one_waits() -> None:
    async def test() -> None:
        gate = asyncio.Event()
        slow, fast = Stream("a", gate, "b"), Stream(*"xyz")
        async with aclosing(merge([slow(), fast()])) as news:
            seen = await until_finished(news, 1)
            assert seen == {0: ["a"], 1: ["x", "y", "z"]}
            assert not slow.closed
            gate.set()
            assert await until_finished(news, 0) == {0: ["b"]}
            assert [updates async for updates in news] == []

    run(test())


def test_what_came_is_shown_though_the_stream_then_hangs() -> None:
    async def test() -> None:
        gate = asyncio.Event()
        stream = Stream("a", gate, "b", asyncio.Event())
        async with aclosing(merge([stream()])) as news:
            assert (await anext(news))[0].items == ["a"]
            gate.set()
            assert (await anext(news))[0].items == ["b"]
        assert stream.closed

    run(test())


def test_a_flood_is_coalesced() -> None:
    async def test() -> None:
        async def flood() -> AsyncGenerator[int, None]:
            for number in range(500):
                await asyncio.sleep(0)
                yield number

        # A pause so long that only the end of the stream can cut it short.
        updates = [u async for u in merge([flood()], period=3600)]
        assert len(updates) <= 2
        assert [item for update in updates for item in update[0].items] == list(range(500))

    run(test())


def test_an_error_stays_with_its_stream() -> None:
    async def test() -> None:
        broken, whole = Stream("a", ValueError("broken")), Stream("x", "y")
        errors: dict[int, Exception | None] = {}
        items: dict[int, list[object]] = {0: [], 1: []}
        async for updates in merge([broken(), whole()]):
            for update in updates:
                items[update.index] += update.items
                errors[update.index] = update.error or errors.get(update.index)
        assert items == {0: ["a"], 1: ["x", "y"]}
        assert str(errors[0]) == "broken"
        assert errors[1] is None

    run(test())


@pytest.mark.parametrize("how", ["stop", "close"])
def test_ending_early_closes_every_stream(how: str) -> None:
    async def test() -> None:
        streams = [Stream("a", asyncio.Event()), Stream("x", asyncio.Event())]
        stop = asyncio.Event()
        news = merge([stream() for stream in streams], stop=stop)
        seen: set[int] = set()
        while seen != {0, 1}:
            seen |= {update.index for update in await anext(news)}
        if how == "stop":
            # The streams hang: the flag alone must end it.
            stop.set()
            assert [updates async for updates in news] == []
        else:
            await news.aclose()
        assert all(stream.closed for stream in streams)

    run(test())


def test_no_streams_no_news() -> None:
    async def test() -> None:
        assert [updates async for updates in merge([])] == []

    run(test())
