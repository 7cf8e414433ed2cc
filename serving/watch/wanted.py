"""Work that is cancelled once nobody waits for it: the client has gone, or the server must go."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from starlette.types import Receive

from lmft.errors import LmftError
from serving.watch.drain import Drain, LeavingError


class ClientGoneError(LmftError):
    """The client closed its connection before it had its answer. Nobody will read this."""

    code = "client_gone"

    def __init__(self) -> None:
        super().__init__("The client went away before the answer was complete.")


@contextlib.asynccontextmanager
async def wanted(receive: Receive, drain: Drain) -> AsyncIterator[Callable[[LmftError], None]]:
    """Cancel what is inside when the client disconnects or the drain's time is over.

    The request's body must have been read: the next thing that `receive` says is then that the
    client went. Not Starlette's own way (a cancel scope of anyio around the answer), because
    there every later `await` is cancelled too, also those that give the lease back.

    Yields:
        What ends it for any other reason, once.

    Raises:
        ClientGoneError, LeavingError, or that other reason: instead of the cancellation.
    """
    why: LmftError | None = None

    async with contextlib.AsyncExitStack() as stack:
        # `asyncio.timeout` knows its own cancellation from one that comes from elsewhere.
        limit = asyncio.timeout(None)

        def end(reason: LmftError) -> None:
            nonlocal why
            if why is None:
                why = reason
                limit.reschedule(asyncio.get_running_loop().time())

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            end(ClientGoneError())

        try:
            async with limit:
                watching = asyncio.create_task(watch())
                stack.callback(watching.cancel)
                stack.callback(drain.register(lambda: end(LeavingError())))
                yield end
        except TimeoutError as error:
            if why is not None and limit.expired():
                raise why from error
            raise
