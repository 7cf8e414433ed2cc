"""A form with a file in it, read as it comes: the file goes straight to where it is kept.

Nothing is held but the piece at hand. Pieces are large and are parsed, hashed and written in a
thread, so that streams of tokens go on beside an upload. It is one of the threads that answer
requests: asyncio's own few look keys up, and must not wait for a slow disk.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from serving.gateway.errors import RequestError
from serving.gateway.uploading import arriving

_PIECE_BYTES = 1 << 20
_MAX_HEADERS, _MAX_HEADER_BYTES = 8, 4_096
_MAX_FIELD_BYTES = 1_024
_FORM = "multipart/form-data"
# What is wrong with a form is told to who sent it; he is not to fill our log.
logging.getLogger("python_multipart").setLevel(logging.CRITICAL)


@dataclass
class _Part:
    name: str
    is_file: bool
    value: bytearray = field(default_factory=bytearray)


class Form:
    """A form with one file.

    Args:
        content_type: of the request.
        file_field: the file's. fields: the others that there may be.
        write: takes what the file holds, piece by piece.

    Attributes:
        filename: as it was given; None as long as there was no file.
        fields: what the others said.

    Raises:
        RequestError: here, in `feed` and in `end`: no such form, or more than one file.
    """

    def __init__(
        self,
        content_type: str,
        file_field: str,
        fields: Collection[str],
        write: Callable[[bytes], None],
    ) -> None:
        kind, options = parse_options_header(content_type)
        if kind.decode("latin-1") != _FORM or not options.get(b"boundary"):
            raise RequestError(
                f"The body is no form: its Content-Type is not {_FORM} with a boundary.",
                f"Send the file as the field `{file_field}` of a form (`curl -F`).",
            )
        self.filename: str | None = None
        self.fields: dict[str, str] = {}
        self._file_field, self._known, self._write = file_field, fields, write
        self._header = bytearray(), bytearray()
        self._headers: dict[bytes, bytes] = {}
        self._part: _Part | None = None
        self._seen: set[str] = set()
        self._ended = False
        with _as_refusal():
            self._parser = MultipartParser(
                options[b"boundary"],
                {
                    "on_part_begin": self._headers.clear,
                    "on_header_field": lambda data, i, end: self._header[0].extend(data[i:end]),
                    "on_header_value": lambda data, i, end: self._header[1].extend(data[i:end]),
                    "on_header_end": self._on_header_end,
                    "on_headers_finished": self._on_headers_finished,
                    "on_part_data": self._on_part_data,
                    "on_part_end": self._on_part_end,
                    "on_end": self._on_end,
                },
                max_header_count=_MAX_HEADERS,
                max_header_size=_MAX_HEADER_BYTES,
            )

    def feed(self, data: bytes) -> None:
        with _as_refusal():
            self._parser.write(data)

    def end(self, data: bytes) -> None:
        """The last piece: the form must be whole then."""
        self.feed(data)
        if not self._ended:
            raise RequestError("The form breaks off before its end.", "Send it again.")
        if self.filename is None:
            raise RequestError(
                f"`{self._file_field}` is missing: the form holds no file.",
                code="missing_required_parameter",
                param=self._file_field,
            )

    def _on_header_end(self) -> None:
        name, value = self._header
        self._headers[bytes(name).lower()] = bytes(value)
        name.clear()
        value.clear()

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        name = options.get(b"name", b"").decode(errors="replace")
        if name != self._file_field and name not in self._known:
            raise RequestError(f"`{name[:40]}` is no field of this form.", param=name[:40] or None)
        if name in self._seen:
            raise RequestError(f"`{name}` is there twice.", "Send one.", param=name)
        self._seen.add(name)
        coded = {b"content-transfer-encoding", b"content-encoding"} & self._headers.keys()
        if any(self._headers[one].lower() not in (b"binary", b"8bit", b"7bit") for one in coded):
            raise RequestError(f"`{name}` is encoded.", "Send its bytes as they are.", param=name)
        self._part = _Part(name, is_file=name == self._file_field)
        if self._part.is_file:
            if b"filename" not in options:
                raise RequestError(
                    f"`{name}` is a value, no file.",
                    f"Send it with a filename (`curl -F {name}=@FILE`).",
                    param=name,
                )
            self.filename = options[b"filename"].decode(errors="replace")

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        part = self._part
        if part is None:
            return
        if part.is_file:
            self._write(data[start:end])
        elif len(part.value) + end - start > _MAX_FIELD_BYTES:
            raise RequestError(
                f"`{part.name}` is longer than {_MAX_FIELD_BYTES} bytes.", param=part.name
            )
        else:
            part.value += data[start:end]

    def _on_part_end(self) -> None:
        if self._part is not None and not self._part.is_file:
            self.fields[self._part.name] = self._part.value.decode(errors="replace")
        self._part = None

    def _on_end(self) -> None:
        self._ended = True


async def receive(request: Request, form: Form) -> bytes:
    """Feed the form with what comes; what it has still to `end` with, once all has come.

    Raises:
        RequestError: no such form, or the client has gone or is idle. What `write` raises.
    """
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise RequestError(
            "The body has a Content-Encoding.",
            "Send it as it is; nothing is unpacked here.",
            code="unsupported_encoding",
        )
    waiting = bytearray()
    async with contextlib.aclosing(arriving(request)) as pieces:
        async for piece in pieces:
            waiting += piece
            if len(waiting) >= _PIECE_BYTES:
                await run_in_threadpool(form.feed, bytes(waiting))
                waiting.clear()
    return bytes(waiting)


@contextlib.contextmanager
def _as_refusal() -> Iterator[None]:
    try:
        yield
    except FormParserError as error:
        raise RequestError(f"The form cannot be read: {error}.", "Send it again.") from error
