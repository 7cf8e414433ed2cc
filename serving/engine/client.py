"""HTTP to vLLM over its Unix socket: the few calls that the gateway needs."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx

from lmft.errors import EngineError

_TIMEOUT = httpx.Timeout(600, connect=10)


class UpstreamRefusal(Exception):
    """vLLM answered a request with an error of the client's making (4xx)."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class EngineClient:
    """One connection pool to one vLLM."""

    def __init__(self, socket: Path, key: str) -> None:
        self._http = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(
                uds=str(socket), limits=httpx.Limits(max_connections=None)
            ),
            base_url="http://engine",
            headers={"authorization": f"Bearer {key}"},
            timeout=_TIMEOUT,
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def healthy(self) -> bool:
        try:
            return (await self._http.get("/health", timeout=5)).status_code == 200
        except httpx.HTTPError:
            return False

    async def one_token(self, model: str) -> None:
        """Generate one token: /health alone can be green on an engine that hangs."""
        await self.json("/v1/completions", {"model": model, "prompt": [0], "max_tokens": 1})

    async def load_adapter(self, name: str, path: Path) -> None:
        await self._text("/v1/load_lora_adapter", {"lora_name": name, "lora_path": str(path)})

    async def unload_adapter(self, name: str) -> None:
        await self._text("/v1/unload_lora_adapter", {"lora_name": name})

    async def json(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """POST and return the answer.

        Raises:
            UpstreamRefusal: 4xx. EngineError: 5xx, or no answer at all.
        """
        response = await self._text(path, body)
        try:
            answer: dict[str, Any] = json.loads(response)
        except ValueError as error:
            raise EngineError("vLLM's answer is not JSON.", "Restart `lmft serve`.") from error
        return answer

    async def _text(self, path: str, body: dict[str, Any]) -> str:
        try:
            response = await self._http.post(path, json=body)
        except httpx.HTTPError as error:
            raise EngineError("vLLM does not answer.", "Try again shortly.") from error
        _raise_for(response.status_code, response.text)
        return response.text

    async def stream(self, path: str, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """POST with `stream: true`; yields each event's JSON until `[DONE]`.

        Closing the iterator closes the connection, which makes vLLM abort the request.

        Raises:
            UpstreamRefusal: 4xx before the first event. EngineError: the stream broke.
        """
        try:
            async with self._http.stream("POST", path, json={**body, "stream": True}) as response:
                if response.status_code != 200:
                    _raise_for(
                        response.status_code, (await response.aread()).decode(errors="replace")
                    )
                async for line in _lines(response):
                    if not line.startswith("data: "):
                        continue
                    if line == "data: [DONE]":
                        return
                    event: dict[str, Any] = json.loads(line.removeprefix("data: "))
                    if "error" in event:
                        raise EngineError("vLLM broke off its answer.", "Try again.")
                    yield event
        except (httpx.HTTPError, ValueError) as error:
            raise EngineError("vLLM went away in mid-answer.", "Try again shortly.") from error
        raise EngineError("vLLM ended its answer early.", "Try again shortly.")


async def _lines(response: httpx.Response) -> AsyncGenerator[str, None]:
    """Lines split at line feeds only; httpx splits at U+2028 too, which JSON may hold."""
    rest = b""
    async for chunk in response.aiter_bytes():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line.decode().rstrip("\r")


def _raise_for(status: int, text: str) -> None:
    if status < 400:
        return
    message = text[:500]
    with contextlib.suppress(ValueError, TypeError, AttributeError):
        body = json.loads(text)
        message = body["error"]["message"] if "error" in body else body["message"]
    if status < 500:
        raise UpstreamRefusal(status, message)
    raise EngineError(f"vLLM failed to answer (status {status}).", "See the engine's log.")
