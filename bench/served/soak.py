"""Streams for minutes while adapters are published, loaded, unloaded and deleted.

Memory is what processes hold for themselves (RssAnon and RssShmem of /proc/PID/status; mapped
files, which the system can drop, do not count): of the gateway, and of all its engines together.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx

from bench.served.adapters import Copies
from bench.served.running import Running
from lmft.device.memory import held_bytes
from lmft.registry.adapters import Adapter

_SAMPLE_SECONDS = 2.0
# An adapter comes and another goes so often.
_CHANGE_SECONDS = 15.0
_ASKED_SECONDS = 2.0
_PROMPTS = ("You open the door.", "The bell rings twice.", "> look around\n", "In the grey light")


@dataclass
class Soaked:
    """Attributes:
    answers: streams that came to their end. faults: all others, in words.
    published, deleted: adapters. gateway, engines: bytes held, from the start to the end.
    """

    answers: int = 0
    faults: list[str] = field(default_factory=list)
    published: int = 0
    deleted: int = 0
    gateway: list[int] = field(default_factory=list)
    engines: list[int] = field(default_factory=list)

    def growth(self, samples: Sequence[int]) -> float:
        """Median of the last fifth over the median of the third fifth: 1 is flat.

        Before, caches fill: keys and values are allocated at once but counted when used.
        """
        fifth = max(1, len(samples) // 5)
        return statistics.median(samples[-fifth:]) / statistics.median(
            samples[2 * fifth : 3 * fifth]
        )


async def soak(
    running: Running, copies: Copies, adapters: Sequence[Adapter], *, streams: int, seconds: float
) -> Soaked:
    """Ask `adapters` at random; more of them than the server keeps loaded makes it load all the
    time. Some are deleted and new ones published meanwhile."""
    soaked, models = Soaked(), [str(adapter.id) for adapter in adapters]
    end = time.monotonic() + seconds
    async with httpx.AsyncClient(base_url=running.target.url, timeout=300) as http:
        await asyncio.gather(
            *(_ask_on(http, models, soaked, end, seed) for seed in range(streams)),
            _change(http, copies, models, soaked, end),
            _sample(running, soaked, end),
        )
    return soaked


async def _ask_on(
    http: httpx.AsyncClient, models: Sequence[str], soaked: Soaked, end: float, seed: int
) -> None:
    chance = random.Random(seed)
    while time.monotonic() < end:
        body = {
            "model": chance.choice(models),
            "prompt": chance.choice(_PROMPTS),
            "max_tokens": chance.randint(8, 48),
            "stream": True,
        }
        try:
            async with http.stream("POST", "/v1/completions", json=body) as answer:
                text = (await answer.aread()).decode()
        except httpx.HTTPError as error:
            soaked.faults.append(f"{type(error).__name__}: {error}")
            continue
        if (
            answer.status_code == 200
            and text.endswith("data: [DONE]\n\n")
            and '"error"' not in text
        ):
            soaked.answers += 1
        else:
            soaked.faults.append(f"{answer.status_code}: {text[-300:]}")


async def _change(
    http: httpx.AsyncClient, copies: Copies, models: list[str], soaked: Soaked, end: float
) -> None:
    """Publish one, delete one that nobody asks for from now on; requests it has still end."""
    for number in itertools.count():
        await asyncio.sleep(min(_CHANGE_SECONDS, max(0.0, end - time.monotonic())))
        if time.monotonic() >= end:
            return
        made = await asyncio.to_thread(copies.publish, f"soak{number:03}", 0.6 + number % 7 / 10)
        soaked.published += 1
        models.append(str(made.id))
        victim = models.pop(0)
        # Who has just chosen it has asked by then.
        await asyncio.sleep(_ASKED_SECONDS)
        answer = await http.delete(f"/v1/models/{victim}")
        if answer.status_code == 200:
            soaked.deleted += 1
        else:
            soaked.faults.append(f"delete: {answer.status_code} {answer.text[:300]}")


async def _sample(running: Running, soaked: Soaked, end: float) -> None:
    server = running.process.pid
    while time.monotonic() < end:
        engines = await asyncio.to_thread(held_bytes, running.engines())
        everything = await asyncio.to_thread(held_bytes, [server])
        soaked.engines.append(engines)
        soaked.gateway.append(everything - engines)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(_SAMPLE_SECONDS)
