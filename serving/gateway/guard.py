"""Who may speak to the gateway: one outermost middleware, deny by default.

- With a key: every path but the health checks and the pages needs it as a bearer token.
  The pages have a login of their own (ui.app.mount).
- On loopback the Host header must be a loopback name, so that no web page can reach the
  gateway through a DNS name that points here.
- A request that a foreign web page makes (its Origin is another host) is refused.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.gateway.errors import error_body

_OPEN_PATHS = frozenset({"/healthz", "/readyz"})
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Guard:
    """ASGI middleware.

    Args:
        api_key: None leaves the API open, which only a loopback address may be.
        host: the address that is bound.
    """

    def __init__(self, app: ASGIApp, api_key: str | None, host: str) -> None:
        self._app = app
        self._key = api_key.encode() if api_key else None
        self._hosts: Collection[str] | None = (
            _LOOPBACK_NAMES | {host} if is_loopback(host) else None
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket") and (refusal := self._refusal(scope)):
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            else:
                await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        headers = {name.lower(): value for name, value in scope["headers"]}
        host = headers.get(b"host", b"").decode("latin-1")
        if self._hosts is not None and _name(host) not in self._hosts:
            return _refuse(403, "Unknown Host header.", "forbidden_host")
        origin = headers.get(b"origin", b"").decode("latin-1")
        if origin and origin.partition("://")[2] != host:
            return _refuse(403, "Requests from other web pages are refused.", "forbidden_origin")
        path = scope["path"]
        if self._key is None or path in _OPEN_PATHS or not _is_api(path):
            return None
        scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() == b"bearer" and hmac.compare_digest(given.strip(), self._key):
            return None
        return _refuse(
            401, "No or wrong API key: send `Authorization: Bearer KEY`.", "invalid_api_key"
        )


def _is_api(path: str) -> bool:
    return path == "/v1" or path.startswith("/v1/")


def _name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _refuse(status: int, message: str, code: str) -> JSONResponse:
    return JSONResponse(error_body(message, "invalid_request_error", code), status)
