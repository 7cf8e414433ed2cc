"""uvicorn's fast HTTP protocol with a bound on a request's head, which by itself it has not."""

from __future__ import annotations

import json

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.gateway.errors import error_body

MAX_HEAD_BYTES = 65_536
# Of a header: colon, space and line end.
_PUNCTUATION = 4


class HeadTooLarge(Exception):
    """Raised inside the parser, which then stops."""


class BoundedHead(HttpToolsProtocol):
    """Refuses a request whose request line and headers are larger than 64 KiB, before anything
    knows who sends it, and keeps no more of it than that and one read of the socket."""

    _in_head = True
    _taken = 0

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._taken += len(data)
        super().data_received(data)
        # Still no end of it. (A head that came in one read is measured below.)
        if self._in_head and self._taken > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("")

    def on_message_begin(self) -> None:
        self._in_head, self._taken = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        fields = sum(len(name) + len(value) + _PUNCTUATION for name, value in self.headers)
        if len(self.url) + fields > MAX_HEAD_BYTES:
            self._in_head = True
            self._taken = MAX_HEAD_BYTES + 1
            raise HeadTooLarge
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Called for whatever is no HTTP too."""
        too_large = self._in_head and self._taken > MAX_HEAD_BYTES
        status = b"431 Request Header Fields Too Large" if too_large else b"400 Bad Request"
        message = f"The request's head is larger than {MAX_HEAD_BYTES} bytes." if too_large else msg
        body = json.dumps(error_body(message, "invalid_request_error", None)).encode()
        self.transport.write(
            b"HTTP/1.1 " + status + b"\r\ncontent-type: application/json\r\nconnection: close\r\n"
            b"content-length: " + str(len(body)).encode() + b"\r\n\r\n" + body
        )
        self.transport.close()
