"""HTTP to an engine over its Unix socket: the few calls that the gateway needs.

By aiohttp, whose parser is in C: a token of a stream takes two thirds of the gateway's time that
it takes with httpx, and a request 3 ms less, on cores which the engine needs (bench/serving.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import aiohttp

from lmft.errors import EngineError
from serving.engine.refusals import (
    AdapterRefused,
    EngineLostError,
    broken_off,
    message_of,
    raise_for,
)

_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=600)
# Engines close an idle connection after 5 s. To ask over one in that very moment fails, so we are
# the first to let it go.
_KEEPALIVE_SECONDS = 2.0
_BASE = "http://engine"
# The only path whose answers need the process that computes: vLLM's API server tokenises alone.
_GENERATES = "/v1/completions"
# What a call that found no engine, or lost it, fails with; TimeoutError where it said nothing.
_LOST = (aiohttp.ClientError, TimeoutError)


class EngineClient:
    """One connection pool to one engine.

    Attributes:
        heard_at: when it last said, or was seen to count, a token; a monotonic time in seconds.
        failed_at: when it last failed to answer, or broke off.
    """

    def __init__(self, socket: Path, key: str) -> None:
        self._socket = socket
        self._headers = {"authorization": f"Bearer {key}"}
        self._session: aiohttp.ClientSession | None = None
        self._closed = False
        self.heard_at = time.monotonic()
        self.failed_at = 0.0

    @property
    def doubtful(self) -> bool:
        """Its last answer failed: whether it still computes, only another one shows."""
        return self.failed_at > self.heard_at

    async def close(self) -> None:
        self._closed = True
        if self._session is not None:
            await self._session.close()

    async def healthy(self) -> bool:
        return await self._get("/health", 5) is not None

    async def one_token(self, model: str, seconds: float) -> None:
        """Generate one token: /health alone can be green on an engine that hangs.

        Raises:
            EngineError: it did not within so many seconds.
        """
        try:
            async with asyncio.timeout(seconds):
                await self.json(_GENERATES, {"model": model, "prompt": [0], "max_tokens": 1})
        except TimeoutError as error:
            raise EngineError(f"The engine gave no token within {seconds:.0f} s.") from error

    async def metrics(self) -> str:
        """The engine's own figures, as Prometheus reads them; empty where it has or says none."""
        return await self._get("/metrics", 2) or ""

    async def load_adapter(self, name: str, path: Path) -> None:
        """Raises AdapterRefused when the engine has looked at it and will not serve it.

        `load_inplace` stays off: vLLM would read the files again at every step.
        """
        body = {"lora_name": name, "lora_path": str(path)}
        status, text = await self._post("/v1/load_lora_adapter", body)
        # vLLM answers 500 for weights that do not fit, and lives on.
        if status >= 400 and (message := message_of(text)):
            raise AdapterRefused(message)
        raise_for(status, text)

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
            raise EngineError("The engine's answer is not JSON.", "Try again.") from error
        if path == _GENERATES:
            self.heard_at = time.monotonic()
        return answer

    async def _text(self, path: str, body: dict[str, Any]) -> str:
        with self._noted():
            status, text = await self._post(path, body)
            raise_for(status, text)
        return text

    @contextlib.contextmanager
    def _noted(self) -> Iterator[None]:
        try:
            yield
        except EngineLostError:
            self.failed_at = time.monotonic()
            raise

    async def _get(self, path: str, seconds: float) -> str | None:
        """The text of a 200; None for anything else."""
        timeout = aiohttp.ClientTimeout(total=seconds)
        try:
            async with self._open().get(_BASE + path, timeout=timeout) as response:
                text = await response.text()
                return text if response.status == 200 else None
        except (*_LOST, EngineLostError):
            return None

    async def _post(self, path: str, body: dict[str, Any]) -> tuple[int, str]:
        """Status and text."""
        try:
            async with self._open().post(_BASE + path, json=body) as response:
                return response.status, await response.text(errors="replace")
        except _LOST as error:
            raise EngineLostError("The engine does not answer.", "Try again shortly.") from error

    def _open(self) -> aiohttp.ClientSession:
        """Made by the first call, since it belongs to the event loop that runs then."""
        if self._closed:
            raise EngineLostError("The engine has been stopped.", "Try again shortly.")
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(
                    path=str(self._socket), limit=0, keepalive_timeout=_KEEPALIVE_SECONDS
                ),
                headers=self._headers,
                timeout=_TIMEOUT,
            )
        return self._session

    async def stream(self, path: str, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """POST with `stream: true`; yields each event's JSON until `[DONE]`.

        Closing the iterator closes the connection, which makes the engine abort the request.

        Raises:
            UpstreamRefusal: 4xx before the first event. EngineError: the stream broke.
        """
        question = {**body, "stream": True}
        ended = False
        with self._noted():
            try:
                async with self._open().post(_BASE + path, json=question) as response:
                    if response.status != 200:
                        raise_for(response.status, await response.text(errors="replace"))
                    async for line in _lines(response.content):
                        if line == b"data: [DONE]":
                            # Read on to the answer's end: only then is the connection used again.
                            ended = True
                        elif line.startswith(b"data: "):
                            event: dict[str, Any] = json.loads(line.removeprefix(b"data: "))
                            if "error" in event:
                                raise broken_off(event["error"])
                            self.heard_at = time.monotonic()
                            yield event
            except (*_LOST, ValueError) as error:
                raise EngineLostError(
                    "The engine went away in mid-answer.", "Try again soon."
                ) from error
            if not ended:
                raise EngineLostError("The engine ended its answer early.", "Try again shortly.")


async def _lines(content: aiohttp.StreamReader) -> AsyncGenerator[bytes, None]:
    """Lines as they come, however long; aiohttp's own are bounded, and log-probabilities long."""
    rest = b""
    async for chunk in content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line.rstrip(b"\r")
