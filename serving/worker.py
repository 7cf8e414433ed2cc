"""The worker that trains jobs, as a child of the server: started again when it dies, told to end
when the server ends, gone when the server is."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

from lmft.jobs.worker import grace_seconds
from lmft.processes import PARENT_VARIABLE

log = logging.getLogger("lmft.jobs")

_COMMAND = (sys.executable, "-P", "-m", "lmft.jobs.worker")
# Beyond the trainer's own grace: it is killed then, and says so.
_BEYOND_SECONDS = 15.0
# In a hurry: for a checkpoint, if one is nearly done, and then for the worker to kill its trainer.
_HURRIED_SECONDS = 2.0
_LEAST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0


class WorkerChild:
    """Enter it from the main thread: the kernel ends a child when the thread that started it
    dies.

    Args:
        forced: once it is set, nobody waits for a training's last checkpoint.
    """

    def __init__(self, forced: asyncio.Event) -> None:
        self._forced = forced
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._process is not None and self._process.returncode is None:
            await self._end(self._process)

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        """In order first; once it is forced, twice, which kills the trainer too. A trainer that
        was killed goes on from its newest checkpoint, with the next worker."""
        # Unlike SIGTERM it may come twice: the system may have told the worker already.
        _tell(process, signal.SIGHUP)
        ended = asyncio.create_task(process.wait())
        forced = asyncio.create_task(self._forced.wait())
        patience = grace_seconds() + _BEYOND_SECONDS
        await asyncio.wait({ended, forced}, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        if forced.done():
            await asyncio.wait({ended}, timeout=_HURRIED_SECONDS)
            _tell(process, signal.SIGINT)
            await asyncio.wait({ended}, timeout=_HURRIED_SECONDS)
        forced.cancel()
        if not ended.done():
            _tell(process, signal.SIGKILL)
        await ended

    async def _run(self) -> None:
        pause = _LEAST_PAUSE
        while True:
            began = time.monotonic()
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *_COMMAND,
                    env={**os.environ, PARENT_VARIABLE: str(os.getpid())},
                    # Ctrl-C in a terminal goes to the server, which ends it in order.
                    start_new_session=True,
                )
                how = str(await self._process.wait())
            except OSError as error:
                how = str(error)
            pause = _LEAST_PAUSE if time.monotonic() - began > _LONGEST_PAUSE else pause
            log.error("the worker ended (%s); it is started again in %.0f s", how, pause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)


def _tell(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)


@contextlib.asynccontextmanager
async def working(wanted: bool, forced: asyncio.Event | None = None) -> AsyncIterator[None]:
    """Have jobs trained until the block ends, if that is wanted; see WorkerChild."""
    if not wanted:
        yield
        return
    async with WorkerChild(forced or asyncio.Event()):
        yield
