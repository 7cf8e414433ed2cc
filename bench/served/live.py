"""A new version of an adapter, published while its alias and other adapters are being asked."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx

from bench.served.adapters import Copies
from bench.served.load import LoadTool
from bench.served.running import Running
from lmft.registry.adapters import Adapter

_POLL_SECONDS = 0.01
_WAIT_SECONDS = 300


@dataclass
class Seen:
    """Moments, in monotonic seconds, and how the requests to the alias went."""

    proven: float = 0.0
    answered: float = 0.0
    requests: int = 0
    failures: list[str] = field(default_factory=list)


def go_live(
    tool: LoadTool, copies: Copies, running: Running, adapters: Sequence[Adapter], requests: int
) -> dict[str, float]:
    """Publish a second version of the first of `adapters` under 8 streams of traffic.

    Seconds from the moment its probe is seen to have passed until its alias has answered with
    it, that answer included, and from its publication; and the requests that failed meanwhile.
    """
    first, seen, end = adapters[0], Seen(), threading.Event()
    with ThreadPoolExecutor(3) as pool:
        traffic = pool.submit(
            tool.run,
            running.target,
            [str(adapter.id) for adapter in adapters],
            streams=8,
            requests=requests,
            output_tokens=16,
            forbidden_token=0,
        )
        try:
            new = copies.publish(first.id.suffix, 0.77)
            published = time.monotonic()
            watched = [
                pool.submit(_until, end, lambda http: _proven(http, str(new.id), seen), running),
                pool.submit(
                    _until,
                    end,
                    lambda http: _asked(http, first.id.alias, str(new.id), seen),
                    running,
                ),
            ]
            for one in watched:
                one.result()
            was_running = not traffic.done()
        finally:
            end.set()
        measured = traffic.result()
    if not was_running:
        raise RuntimeError("the traffic ended before the new version was live: more requests")
    return {
        "seconds from proof to answer": round(max(0.0, seen.answered - seen.proven), 3),
        "seconds from publication to answer": round(seen.answered - published, 3),
        "requests": seen.requests + requests,
        "failed": len(seen.failures) + measured.failed,
    }


def _until(end: threading.Event, done: Callable[[httpx.Client], bool], running: Running) -> None:
    deadline = time.monotonic() + _WAIT_SECONDS
    with httpx.Client(base_url=running.target.url, timeout=60) as http:
        while not done(http) and not end.is_set():
            if time.monotonic() > deadline:
                raise RuntimeError("the new version does not become live")
            time.sleep(_POLL_SECONDS)


def _proven(http: httpx.Client, model: str, seen: Seen) -> bool:
    answer = http.get(f"/v1/models/{model}")
    if answer.status_code == 200 and answer.json()["lmft"]["probe"] is not None:
        seen.proven = time.monotonic()
        return True
    return False


def _asked(http: httpx.Client, alias: str, wanted: str, seen: Seen) -> bool:
    body = {"model": alias, "prompt": "You open the door", "max_tokens": 1}
    answer = http.post("/v1/completions", json=body)
    seen.requests += 1
    if answer.status_code != 200:
        seen.failures.append(answer.text)
        return False
    if answer.headers["x-lmft-model"] == wanted:
        seen.answered = time.monotonic()
        return True
    return False
