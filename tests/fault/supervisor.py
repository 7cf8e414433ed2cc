"""What a server does for its worker, without the rest of the server; started by test_jobs.py.

It dies as a server does: at once (kill -9), or in order (SIGTERM).
"""

from __future__ import annotations

import asyncio
import signal

from serving.worker import working


async def main() -> None:
    leaving = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, leaving.set)
    async with working(wanted=True):
        await leaving.wait()


if __name__ == "__main__":
    asyncio.run(main())
