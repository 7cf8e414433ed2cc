"""How large a request may be: 413 before more of it is read than that."""

from __future__ import annotations

import asyncio

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.gateway.errors import error_body

DEFAULT_MAX_BODY_BYTES = 4_000_000
# Were the connection closed while the client still writes, the kernel would throw the answer
# away with what was not read. So what comes for a moment longer is taken and dropped.
_LINGER_SECONDS = 1.0


class BodyLimit:
    """ASGI middleware.

    Args:
        max_bytes: of a body, whether its length is announced or it comes in chunks.
    """

    def __init__(self, app: ASGIApp, max_bytes: int = DEFAULT_MAX_BODY_BYTES) -> None:
        self._app = app
        self._max = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif _announced(scope) > self._max:
            await self._refuse(receive, send)
        else:
            await self._counted(scope, receive, send)

    async def _counted(self, scope: Scope, receive: Receive, send: Send) -> None:
        taken, refused = 0, False

        async def count() -> Message:
            nonlocal taken, refused
            if refused:
                return {"type": "http.disconnect"}
            message = await receive()
            taken += len(message.get("body", b""))
            if taken <= self._max:
                return message
            refused = True
            await self._refuse(receive, send)
            return {"type": "http.disconnect"}

        async def send_unless_refused(message: Message) -> None:
            # The application takes what it was told for a client that went away; its answer to
            # that has no place any more.
            if not refused:
                await send(message)

        await self._app(scope, count, send_unless_refused)

    async def _refuse(self, receive: Receive, send: Send) -> None:
        message = f"The request's body is larger than {self._max} bytes."
        answer = JSONResponse(
            error_body(message, "invalid_request_error", "request_too_large"),
            413,
            {"connection": "close"},
        )
        await send({"type": "http.response.start", "status": 413, "headers": answer.raw_headers})
        await send({"type": "http.response.body", "body": answer.body, "more_body": True})
        try:
            async with asyncio.timeout(_LINGER_SECONDS):
                while (message_ := await receive())["type"] == "http.request":
                    if not message_.get("more_body"):
                        break
        except TimeoutError:
            pass
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _announced(scope: Scope) -> int:
    """The length that the headers give; 0 where they give none, or one that is no number."""
    for name, value in scope["headers"]:
        if name.lower() == b"content-length" and value.isdigit():
            return int(value)
    return 0
