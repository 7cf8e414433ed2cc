"""An answer as server-sent events, which holds what it needs until its last byte is out."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from typing import Any

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from lmft.errors import LmftError
from serving.gateway import answers
from serving.gateway.errors import describe
from serving.watch.drain import Drain
from serving.watch.meter import Meter
from serving.watch.record import CLIENT_GONE, Record
from serving.watch.wanted import ClientGoneError, wanted

# A client that takes nothing for so long is taken for gone. Until then it costs the socket's
# buffers and nothing more: no event is made before the one before it has been taken.
STALLED_SECONDS = 60.0


class Events(Response):
    """Args:
    first: the first event, which came before the status line had to be chosen; None for none.
    held: lease and admission; given back at the end, whatever the end is.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        first: dict[str, Any] | None,
        rest: AsyncGenerator[dict[str, Any], None],
        *,
        held: contextlib.AsyncExitStack,
        meter: Meter,
        record: Record,
        drain: Drain,
        headers: Mapping[str, str],
    ) -> None:
        self._first = first
        self._rest = rest
        self._held = held
        self._meter = meter
        self._record = record
        self._drain = drain
        self.status_code = 200
        self.background = None
        self.init_headers({**headers, "cache-control": "no-store"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._held:
            try:
                async with (
                    contextlib.aclosing(self._rest),
                    wanted(receive, self._drain) as end,
                    _unless_stalled(send, end) as give,
                ):
                    await give(
                        {
                            "type": "http.response.start",
                            "status": self.status_code,
                            "headers": self.raw_headers,
                        }
                    )
                    if self._first is not None:
                        await give(_body(answers.event(self._first)))
                    async for event in self._rest:
                        await give(_body(answers.event(event)))
            except ClientGoneError as error:
                self._broke(error, CLIENT_GONE, error.code)
                return
            except Exception as error:
                # The status line is out: the error is an event of its own.
                status, body = describe(error)
                self._broke(error, status, body["error"]["code"])
                last = answers.event(body) + answers.DONE
            else:
                last = answers.DONE
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STALLED_SECONDS):
                    await send(_body(last, more=False))

    def _broke(self, error: Exception, status: int, code: str | None) -> None:
        self._meter.broke(error)
        self._record.status, self._record.code = status, code


def _body(text: str, *, more: bool = True) -> Message:
    return {"type": "http.response.body", "body": text.encode(), "more_body": more}


@contextlib.asynccontextmanager
async def _unless_stalled(send: Send, end: Callable[[LmftError], None]) -> AsyncIterator[Send]:
    """`send`, and an end to it all when one message has not been taken for too long.

    One timer for the stream: a timeout around each message would cost more than the message.
    """
    loop = asyncio.get_running_loop()
    sending_since: float | None = None
    timer: asyncio.TimerHandle

    async def timed(message: Message) -> None:
        nonlocal sending_since
        sending_since = loop.time()
        await send(message)
        sending_since = None

    def look() -> None:
        nonlocal timer
        waited = 0.0 if sending_since is None else loop.time() - sending_since
        if waited >= STALLED_SECONDS:
            end(ClientGoneError())
        else:
            timer = loop.call_later(STALLED_SECONDS - waited, look)

    timer = loop.call_later(STALLED_SECONDS, look)
    try:
        yield timed
    finally:
        timer.cancel()
