"""HTTP to the gateway: JSON in, JSON or a stream of JSON events out, one exception for all ills.

`ui.client` says what the events mean.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any, BinaryIO

import httpx

from ui import text
from ui.events import GatewayError, Opened
from ui.sse import payloads

ASK_S = 10.0
# A person would rather wait for an engine that starts than be told to come back.
_PATIENT = {"Prefer": "wait=120"}


class Transport:
    """One server's address and key; its connections may be shared by all visitors."""

    def __init__(self, base_url: str, api_key: str | None, silence_s: float) -> None:
        self.base_url = base_url.rstrip("/")
        self._silence_s = silence_s
        self._http = httpx.AsyncClient(
            base_url=self.base_url,
            headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
            timeout=httpx.Timeout(ASK_S, pool=None),
            # The server does admission; a pool limit here would only hide its answer.
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
            # A proxy in the environment is for the internet, not for a server next door.
            trust_env=False,
        )

    async def aclose(self) -> None:
        await self._http.aclose()

    async def get(
        self, path: str, params: Mapping[str, str | int] | None = None, *, also: int | None = None
    ) -> dict[str, Any]:
        """The JSON of a 200, or of the status `also`, which is an answer too."""
        async with self._one_error(ASK_S):
            response = await self._http.get(path, params=params)
        return _answer(response, also)

    async def ask(
        self, path: str, body: Mapping[str, Any] | None = None, *, once: str = ""
    ) -> dict[str, Any]:
        """POST, one JSON object in answer. Args: once: a key; two requests with it count as one."""
        headers = {"Idempotency-Key": once} if once else {}
        async with self._one_error(ASK_S):
            response = await self._http.post(path, json=body, headers=headers)
        return _answer(response)

    async def upload(
        self, path: str, name: str, content: BinaryIO, fields: Mapping[str, str]
    ) -> dict[str, Any]:
        """POST a form with a file, read as it is sent: a large one takes no memory."""
        timeout = httpx.Timeout(self._silence_s, connect=ASK_S, pool=None)
        async with self._one_error(self._silence_s):
            response = await self._http.post(
                path, data=dict(fields), files={"file": (name, content)}, timeout=timeout
            )
        return _answer(response)

    async def post(
        self, path: str, body: Mapping[str, Any]
    ) -> AsyncGenerator[Opened | dict[str, Any], None]:
        """The events of a streamed answer up to [DONE], after what its headers say.

        Closing the generator closes the connection, which the server takes as a stop.
        """
        timeout = httpx.Timeout(ASK_S, read=self._silence_s, pool=None)
        async with (
            self._one_error(self._silence_s),
            self._http.stream(
                "POST", path, json=body, headers=_PATIENT, timeout=timeout
            ) as response,
        ):
            if response.status_code != httpx.codes.OK:
                await response.aread()
                raise _refusal(response)
            yield Opened(
                response.headers.get("x-lmft-model", ""),
                response.headers.get("x-lmft-adapter", ""),
            )
            async with aclosing(payloads(response.aiter_bytes())) as events:
                async for payload in events:
                    if payload == "[DONE]":
                        return
                    event = _object(payload)
                    if "error" in event:
                        raise _error(event)
                    yield event

    @asynccontextmanager
    async def _one_error(self, seconds: float) -> AsyncIterator[None]:
        """Whatever httpx raises, as the one exception that the pages know."""
        try:
            yield
        except httpx.ConnectError as error:
            message = text.UNREACHABLE.format(url=self.base_url)
            raise GatewayError(message, "connection_failed") from error
        except httpx.TimeoutException as error:
            message = text.TIMED_OUT.format(seconds=seconds)
            raise GatewayError(message, "timed_out") from error
        except httpx.TransportError as error:
            raise connection_lost() from error


def connection_lost() -> GatewayError:
    return GatewayError(text.CONNECTION_LOST, "connection_lost")


def _answer(response: httpx.Response, also: int | None = None) -> dict[str, Any]:
    body = _object(response.content)
    # A job that failed says so in a field of its own; an error has nothing beside it.
    if response.status_code not in (httpx.codes.OK, also) or set(body) == {"error"}:
        raise _refusal(response)
    return body


def _object(raw: bytes | str) -> dict[str, Any]:
    """A JSON object, or an empty one: an error page of some proxy is no reason to fall over."""
    try:
        value = json.loads(raw)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _refusal(response: httpx.Response) -> GatewayError:
    body = _object(response.content)
    body.setdefault("error", f"{response.status_code} {response.reason_phrase}")
    retry = response.headers.get("retry-after", "")
    return _error(body, float(retry) if retry.isdigit() else None)


def _error(body: Mapping[str, Any], retry_after: float | None = None) -> GatewayError:
    error = body["error"]
    if not isinstance(error, dict):
        return GatewayError(str(error))
    return GatewayError(str(error.get("message") or ""), str(error.get("code") or ""), retry_after)
