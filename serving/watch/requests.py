"""The outermost middleware: a request's id, its line in the log, its count, and the closed door
while the server goes down.

Pure ASGI: it adds a dictionary and a closure to a request and nothing to a piece of a stream.
"""

from __future__ import annotations

import json
import re
import secrets
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.gateway.errors import error_response
from serving.watch.drain import LeavingError
from serving.watch.record import Record
from serving.watch.watch import Watch

API = "/v1"
_SANE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
# What no route took: its path is the client's invention and no label.
_NO_ROUTE = "none"


class Requests:
    """ASGI middleware.

    Every answer gets `x-request-id`, the client's own where it is sane, and
    `openai-processing-ms`, from the request's arrival to the first byte of the answer. Requests
    to the API are logged and counted; pages and health checks are not.
    """

    def __init__(self, app: ASGIApp, watch: Watch) -> None:
        self._app = app
        self._watch = watch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        record = _record(scope)
        if self._watch.log.texts:
            record.reply = []
        scope.setdefault("state", {})["record"] = record

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.http_status = message["status"]
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"x-request-id", record.id.encode()),
                    (b"openai-processing-ms", str(round(record.seconds * 1000)).encode()),
                ]
            elif record.http_status >= 400 and record.code is None:
                record.code = _code(message)
            await send(message)

        if _is_api(scope["path"]):
            await self._watched(scope, receive, sending, record)
        else:
            await self._app(scope, receive, sending)

    async def _watched(self, scope: Scope, receive: Receive, send: Send, record: Record) -> None:
        drain = self._watch.drain
        if drain.leaving:
            await error_response(LeavingError())(scope, receive, send)
            self._end(scope, record)
            return
        drain.running += 1
        try:
            await self._app(scope, receive, send)
        except Exception as error:
            # Here, since Starlette's own last resort lies outside and would answer without an id.
            response = error_response(error)
            if record.http_status:
                raise
            await response(scope, receive, send)
        finally:
            drain.running -= 1
            self._end(scope, record)

    def _end(self, scope: Scope, record: Record) -> None:
        route = getattr(scope.get("route"), "path", None) or _NO_ROUTE
        caller = getattr(scope["state"].get("caller"), "key_id", None)
        self._watch.metrics.count(record, route)
        self._watch.log.write(record, route, caller)


def _record(scope: Scope) -> Record:
    given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
    text = given.decode("latin-1")
    return Record(
        id=text if _SANE_ID.fullmatch(text) else f"req_{secrets.token_hex(12)}",
        method=scope["method"],
        path=scope["path"],
        client=scope["client"][0] if scope.get("client") else "",
    )


def _is_api(path: str) -> bool:
    return path == API or path.startswith(f"{API}/")


def _code(message: Message) -> str | None:
    """The code of OpenAI's error object, if that is what goes out."""
    try:
        body: Any = json.loads(message.get("body", b""))
        code = body["error"]["code"]
    except (ValueError, TypeError, KeyError):
        return None
    return code if isinstance(code, str) else None
