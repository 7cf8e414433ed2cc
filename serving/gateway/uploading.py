"""Uploads on their way in: how many at once, room for what they announce, and no stream that
hardly moves. What has been sent is counted only once it is there, so these bound the rest."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from lmft.errors import LmftError
from lmft.files.blobs import Staged
from lmft.files.room import require_room
from serving.gateway.access.callers import caller
from serving.gateway.access.limits import FORM_BYTES
from serving.gateway.errors import RequestError
from serving.gateway.state import gateway

# Of this server. Each may have a file of the largest size on the disk that no quota counts yet,
# and keeps one of the threads that answer requests waiting where the disk is slow.
MAX_UPLOADS, MAX_OF_A_PROJECT = 32, 16
IDLE_SECONDS = 60.0
# That must come within that time: a byte now and then would keep a place for ever.
LEAST_BYTES = 64 << 10
_under_way: Counter[str] = Counter()


class UploadsError(LmftError):
    """As many are under way as may be."""

    code = "server_busy"
    retry_after_seconds = 5.0

    def __init__(self) -> None:
        super().__init__(
            f"{MAX_UPLOADS} uploads, or {MAX_OF_A_PROJECT} of this project, are under way.",
            "Send fewer files at once.",
        )


@contextlib.contextmanager
def place(project: str) -> Iterator[None]:
    """Be one of the uploads under way until the block ends. For the event loop's thread.

    Raises:
        UploadsError.
    """
    if _under_way.total() >= MAX_UPLOADS or _under_way[project] >= MAX_OF_A_PROJECT:
        raise UploadsError
    _under_way[project] += 1
    try:
        yield
    finally:
        _under_way[project] -= 1


async def begin(
    request: Request, stage: Callable[[], Staged], key: str | None = None
) -> tuple[Staged, contextlib.AsyncExitStack]:
    """Somewhere to write what comes; and what must be left in the end, so that nothing of it
    stays but what has been kept.

    Args:
        key: the request's Idempotency-Key.

    Raises:
        UploadsError. QuotaError: the project has no room for what is announced.
        DiskFullError, MachineError: there is no room or right to write. StoreError.
    """
    asks, store = caller(request), gateway(request).store
    async with contextlib.AsyncExitStack() as held:
        held.enter_context(place(asks.project))
        await run_in_threadpool(require_room, store, asks.project_id, _announced(request), key)
        staged = await run_in_threadpool(stage)
        held.push_async_callback(run_in_threadpool, staged.discard)
        return staged, held.pop_all()


async def arriving(request: Request) -> AsyncGenerator[bytes, None]:
    """The body, piece by piece.

    Raises:
        RequestError: the client has gone, or sends nothing, or next to nothing, for a minute.
    """
    stream, clock = request.stream(), asyncio.get_running_loop()
    came, since = 0, clock.time()
    while True:
        try:
            async with asyncio.timeout_at(since + IDLE_SECONDS):
                piece = await anext(stream, None)
        except ClientDisconnect as error:
            raise RequestError("The client has gone.", code="client_gone") from error
        except TimeoutError as error:
            raise RequestError(
                f"Less than {LEAST_BYTES} bytes of the body have come in {IDLE_SECONDS:.0f} s.",
                "Send it again, or in parts: POST /v1/uploads.",
                code="request_timeout",
            ) from error
        if piece is None:
            return
        came += len(piece)
        yield piece
        if came >= LEAST_BYTES:
            # From here: what was done with the piece is not the client's time.
            came, since = 0, clock.time()


def _announced(request: Request) -> int:
    """Bytes of the file at least, where the length of the body is known beforehand."""
    length = request.headers.get("content-length", "")
    known = int(length) if length.isascii() and length.isdigit() else 0
    return max(0, known - FORM_BYTES)
