"""How large a request may be: 413 before more of it is read than that."""

from __future__ import annotations

import asyncio
import re

from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lmft.files.limits import MAX_PART_BYTES
from serving.gateway.errors import error_body

DEFAULT_MAX_BODY_BYTES = 4_000_000
# Of a form around its file: boundaries, heads of parts, the other fields.
FORM_BYTES = 64 << 10
_FILE, _PART = "/v1/files", re.compile(r"/v1/uploads/[^/]+/parts")
# What is dropped on a page, all at once; the page passes each file on to /v1/files.
_DROPPED = "/gradio_api/upload"
# Were the connection closed while the client still writes, the kernel would throw the answer
# away with what was not read. So what comes for a moment longer is taken and dropped.
_LINGER_SECONDS = 1.0


class BodyLimit:
    """ASGI middleware.

    Args:
        max_bytes: of a body, whether its length is announced or it comes in chunks.
        max_file_bytes: of a file that is uploaded whole; None for as much as any other body.
    """

    def __init__(
        self,
        app: ASGIApp,
        max_bytes: int = DEFAULT_MAX_BODY_BYTES,
        max_file_bytes: int | None = None,
    ) -> None:
        self._app = app
        self._max = max_bytes
        self._max_file = max_file_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif _announced(scope) > (most := self._most(scope)):
            await _refuse(most, receive, send)
        else:
            await self._counted(most, scope, receive, send)

    def _most(self, scope: Scope) -> int:
        if self._max_file is None or scope["method"] != "POST":
            return self._max
        if scope["path"] in (_FILE, _DROPPED):
            return self._max_file + FORM_BYTES
        if _PART.fullmatch(scope["path"]):
            return min(self._max_file, MAX_PART_BYTES) + FORM_BYTES
        return self._max

    async def _counted(self, most: int, scope: Scope, receive: Receive, send: Send) -> None:
        taken, refused = 0, False

        async def count() -> Message:
            nonlocal taken, refused
            if refused:
                return {"type": "http.disconnect"}
            message = await receive()
            taken += len(message.get("body", b""))
            if taken <= most:
                return message
            refused = True
            await _refuse(most, receive, send)
            return {"type": "http.disconnect"}

        async def send_unless_refused(message: Message) -> None:
            # The application takes what it was told for a client that went away; its answer to
            # that has no place any more.
            if not refused:
                await send(message)

        await self._app(scope, count, send_unless_refused)


class BeforeTheEnd(Response):
    """An answer to a request whose body has not come to its end, and is not wanted any more."""

    def __init__(self, answer: Response) -> None:
        headers = dict(answer.headers) | {"connection": "close"}
        super().__init__(answer.body, answer.status_code, headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start = {"type": "http.response.start", "status": self.status_code}
        await send(start | {"headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        try:
            async with asyncio.timeout(_LINGER_SECONDS):
                while (message := await receive())["type"] == "http.request":
                    if not message.get("more_body"):
                        break
        except TimeoutError:
            pass
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _refuse(most: int, receive: Receive, send: Send) -> None:
    message = f"The request's body is larger than {most} bytes."
    body = error_body(message, "invalid_request_error", "request_too_large")
    await BeforeTheEnd(JSONResponse(body, 413))({}, receive, send)


def _announced(scope: Scope) -> int:
    """The length that the headers give; 0 where they give none, or one that is no number."""
    for name, value in scope["headers"]:
        if name.lower() == b"content-length" and value.isdigit():
            return int(value)
    return 0
