"""Who may speak to the gateway: one middleware before every route, deny by default.

- Once there is a key (LMFT_API_KEY, or any that was ever created), every path but the health
  checks needs one: the API as a bearer token with the scope that callers.scope_of says; the
  pages, unless they ask for LMFT_API_KEY themselves (ui.app.mount), as the password of HTTP's
  basic authentication with the scope `pages`. WebSockets too.
- A key acts in its own project; LMFT_API_KEY, the pages, and anyone where there are no keys, in
  the one that the header OpenAI-Project names, or else in the first.
- On loopback the Host header must be a loopback name, so that no web page can reach the
  gateway through a DNS name that points here.
- A request that a foreign web page makes (its Origin is another host) is refused.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import logging
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from lmft.errors import StoreError
from serving.gateway.access.callers import ANYONE, Caller, ForbiddenError, scope_of
from serving.gateway.access.keyring import Keyring
from serving.gateway.errors import error_body, error_response

log = logging.getLogger("lmft.gateway")

_OPEN_PATHS = frozenset({"/healthz", "/readyz"})
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_POLICY_VIOLATION = 1008


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Guard:
    """ASGI middleware; what it lets through has its `Caller` in `scope["state"]["caller"]`.

    Args:
        host: the address that is bound.
    """

    def __init__(self, app: ASGIApp, keyring: Keyring, host: str) -> None:
        self._app = app
        self._keyring = keyring
        self._hosts: Collection[str] | None = (
            _LOOPBACK_NAMES | {host} if is_loopback(host) else None
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asks = scope["type"] in ("http", "websocket")
        refusal = await self._refusal(scope) if asks else None
        if refusal is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "http" or "websocket.http.response" in scope.get("extensions", {}):
            await refusal(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})

    async def _refusal(self, scope: Scope) -> JSONResponse | None:
        host = _header(scope, b"host").decode("latin-1")
        if self._hosts is not None and _name(host) not in self._hosts:
            return _refuse(403, "Unknown Host header.", "forbidden_host")
        origin = _header(scope, b"origin").decode("latin-1")
        if origin and origin.partition("://")[2] != host:
            return _refuse(403, "Requests from other web pages are refused.", "forbidden_origin")
        try:
            return await self._without_right(scope)
        except StoreError as error:
            log.error("no request is let in: %s", error)
            return _refuse(503, "The keys cannot be read; the server's log says why.", error.code)

    async def _without_right(self, scope: Scope) -> JSONResponse | None:
        """Finds out who asks."""
        path, given = scope["path"], _header(scope, b"authorization")
        state = scope.setdefault("state", {})
        api = _is_api(path)
        if path in _OPEN_PATHS or (not api and self._keyring.has_api_key):
            state["caller"] = ANYONE
            return None
        caller = await self._keyring.whoever(_bearer(given) if api else _password(given))
        if caller is None:
            return _unknown("Bearer" if api else "Basic")
        if api and (named := _header(scope, b"openai-project").decode("latin-1").strip()):
            within = await self._within(caller, named)
            if isinstance(within, JSONResponse):
                return within
            caller = within
        state["caller"] = caller
        method = scope.get("method", "GET")
        wanted = scope_of(method, path) if api else "pages"
        try:
            if wanted is not None:
                caller.require(wanted)
        except ForbiddenError as error:
            return error_response(error)
        return None

    async def _within(self, caller: Caller, project: str) -> Caller | JSONResponse:
        """The caller as one of that project, or why it cannot be."""
        if not caller.operator:
            # The same whether there is such a project or not.
            return caller if project == caller.project else _of_another_project()
        number = await self._keyring.project(project)
        if number is None:
            return _refuse(
                404,
                f"There is no project {project[:64]!r}: `lmft projects create` makes one. "
                "Without the header OpenAI-Project (OPENAI_PROJECT_ID) it is `me`.",
                "project_not_found",
            )
        return caller.within(number, project)


def _is_api(path: str) -> bool:
    return path in ("/v1", "/metrics") or path.startswith(("/v1/", "/metrics/"))


def _header(scope: Scope, name: bytes) -> bytes:
    """Its value; several are joined, as HTTP says, and so match nothing."""
    return b", ".join(value for key, value in scope["headers"] if key.lower() == name)


def _bearer(given: bytes) -> bytes | None:
    scheme, _, key = given.partition(b" ")
    return key.strip() if scheme.lower() == b"bearer" else None


def _password(given: bytes) -> bytes | None:
    """A browser's: any user name, the key as password."""
    scheme, _, pair = given.partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        return base64.b64decode(pair.strip(), validate=True).partition(b":")[2]
    except binascii.Error:
        return None


def _name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _unknown(scheme: str) -> JSONResponse:
    """One answer for no key, a wrong one and a revoked one."""
    message = "No or wrong API key: send `Authorization: Bearer KEY`."
    return _challenge(scheme, message, "invalid_api_key")


def _of_another_project() -> JSONResponse:
    message = (
        "This key is none of the project that the header OpenAI-Project names: leave it out "
        "(OPENAI_PROJECT_ID), or send a key of that project."
    )
    return _challenge("Bearer", message, "mismatched_project")


def _challenge(scheme: str, message: str, code: str) -> JSONResponse:
    refusal = _refuse(401, message, code)
    refusal.headers["www-authenticate"] = f'{scheme} realm="lmft"'
    return refusal


def _refuse(status: int, message: str, code: str) -> JSONResponse:
    return JSONResponse(error_body(message, "invalid_request_error", code), status)
