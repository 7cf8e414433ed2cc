"""uvicorn's fast HTTP protocol with bounds on a request's head, which by itself it has not."""

from __future__ import annotations

import asyncio
import json

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.gateway.errors import error_body

MAX_HEAD_BYTES = 65_536
# From the connection, or a head's first byte on one that is kept, to its last.
MAX_HEAD_SECONDS = 20.0
# Of a header: colon, space and line end.
_PUNCTUATION = 4


class HeadTooLarge(Exception):
    """Raised inside the parser, which then stops."""


class BoundedHead(HttpToolsProtocol):
    """Refuses a request whose request line and headers are larger than 64 KiB or take longer
    than 20 s, before anything knows who sends it, and keeps no more of it than that and one read
    of the socket."""

    _in_head = True
    _taken = 0
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._have_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._taken += len(data)
        super().data_received(data)
        # Still no end of it. (A head that came in one read is measured below.)
        if self._in_head and self._taken > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("")

    def on_message_begin(self) -> None:
        self._in_head, self._taken = True, 0
        self._await_head()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._have_head()
        fields = sum(len(name) + len(value) + _PUNCTUATION for name, value in self.headers)
        if len(self.url) + fields > MAX_HEAD_BYTES:
            self._in_head = True
            self._taken = MAX_HEAD_BYTES + 1
            raise HeadTooLarge
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Called for whatever is no HTTP too."""
        if self._in_head and self._taken > MAX_HEAD_BYTES:
            message = f"The request's head is larger than {MAX_HEAD_BYTES} bytes."
            self._refuse(b"431 Request Header Fields Too Large", message)
        else:
            self._refuse(b"400 Bad Request", msg)

    def _await_head(self) -> None:
        self._have_head()
        self._late = self.loop.call_later(MAX_HEAD_SECONDS, self._too_late)

    def _have_head(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _too_late(self) -> None:
        if not self.transport.is_closing():
            message = f"The request's head took longer than {MAX_HEAD_SECONDS:.0f} s."
            self._refuse(b"408 Request Timeout", message)

    def _refuse(self, status: bytes, message: str) -> None:
        body = json.dumps(error_body(message, "invalid_request_error", None)).encode()
        self.transport.write(
            b"HTTP/1.1 " + status + b"\r\ncontent-type: application/json\r\nconnection: close\r\n"
            b"content-length: " + str(len(body)).encode() + b"\r\n\r\n" + body
        )
        self.transport.close()
