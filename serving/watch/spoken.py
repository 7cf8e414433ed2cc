"""What a server says to the person who started it: that it answers, that it is ending."""

from __future__ import annotations

import asyncio

from serving.pool.pool import Pool
from serving.watch.drain import Drain

_POLL_SECONDS = 0.2


async def announce(pool: Pool, drain: Drain, url: str, *, pages: bool) -> None:
    """Print a line once it can answer, and one when it is told to end."""
    while pool.status.status == "starting" and not drain.leaving:
        await asyncio.sleep(_POLL_SECONDS)
    if pool.status.status == "ready":
        where = f"pages at {url}/, API at {url}/v1" if pages else f"API at {url}/v1"
        print(f"Ready: {where}", flush=True)
    while not drain.leaving:
        await asyncio.sleep(_POLL_SECONDS)
    if drain.running:
        print(
            f"Ending once {drain.running} request(s) are answered, within {drain.seconds:.0f} s; "
            "Ctrl-C again ends it now",
            flush=True,
        )
