"""More than the server can do at once: some are told to come again, none is lost, nobody waits for
somebody else's slow reading."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import psutil
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from serving.engine.client import EngineClient
from serving.gateway.access.admission import default_room
from tests.conftest import START_SECONDS, Gateway

CHATS = 200


@pytest.mark.engine
def test_of_200_parallel_chats_what_is_too_many_comes_again_and_none_is_lost(
    gateway: Gateway,
) -> None:
    body = {
        "model": gateway.character_id,
        "messages": [{"role": "user", "content": "Who lives upstairs?"}],
        # Work enough that they come faster than they go.
        "max_tokens": 24,
        "n": 2,
    }

    async def all_at_once() -> list[httpx.Response]:
        async with httpx.AsyncClient(
            base_url=gateway.url,
            timeout=START_SECONDS,
            limits=httpx.Limits(max_connections=None),
        ) as http:
            return await asyncio.gather(
                *(http.post("/v1/chat/completions", json=body) for _ in range(CHATS))
            )

    with gateway.client() as http:
        # The adapter is loaded, so that nobody waits for that.
        assert http.post("/v1/chat/completions", json=body).status_code == 200
    answers = asyncio.run(all_at_once())
    room = default_room()
    counts = Counter(answer.status_code for answer in answers)
    assert set(counts) == {200, 429}
    # All that there is room for from the start, and who found a place that fell free meanwhile.
    assert counts[200] >= room.running + room.waiting
    for answer in answers:
        if answer.status_code == 200:
            assert answer.json()["choices"][0]["message"]["content"]
        else:
            assert answer.json()["error"]["code"] == "server_busy"
            assert 1 <= int(answer.headers["retry-after"]) <= 120
    with gateway.client() as http:
        assert http.post("/v1/chat/completions", json=body).status_code == 200


@pytest.mark.engine
def test_who_reads_slowly_holds_up_nobody_and_costs_no_memory(gateway: Gateway) -> None:
    """Eight streams that nobody reads, while others are asked for and answered."""
    body = {
        "model": gateway.adapter_id,
        "prompt": ["You stand before a door."] * 4,
        "max_tokens": 40,
        "logprobs": 5,
        "stream": True,
    }
    server = psutil.Process(gateway.process.pid)
    quick = {"model": gateway.adapter_id, "prompt": "You stand", "max_tokens": 4}
    with gateway.client() as http:
        assert http.post("/v1/completions", json=quick).status_code == 200
        before = server.memory_info().rss
        slow = [slow_reader(gateway, "/v1/completions", body) for _ in range(8)]
        for _ in range(4):
            assert http.post("/v1/completions", json=quick).status_code == 200
        assert server.memory_info().rss - before < 50_000_000
    for connection in slow:
        with connection, connection.makefile("rb") as answer:
            assert answer.read().rstrip().endswith(b"data: [DONE]\n\n\r\n0")


def slow_reader(gateway: Gateway, path: str, body: object) -> socket.socket:
    """A request whose answer nobody reads yet; the kernel takes as little of it as it can."""
    host, _, port = gateway.url.removeprefix("http://").partition(":")
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(START_SECONDS)
    connection.connect((host, int(port)))
    content = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: {host}:{port}\r\ncontent-type: application/json\r\n"
        f"connection: close\r\ncontent-length: {len(content)}\r\n\r\n"
    )
    connection.sendall(head.encode() + content)
    return connection


class EndlessEngine:
    """Stands in for an engine that is faster than any client and never ends, which a real one
    cannot be brought to.

    Attributes:
        given: bytes that have left it.
    """

    def __init__(self, uds: Path) -> None:
        self.given = 0
        app = Starlette(routes=[Route("/v1/completions", self._answer, methods=["POST"])])
        self.server = uvicorn.Server(uvicorn.Config(app, uds=str(uds), log_level="error"))

    async def _answer(self, _: Request) -> Response:
        async def events() -> AsyncIterator[str]:
            event = "data: " + json.dumps({"choices": [], "text": "x" * 10_000}) + "\n\n"
            while True:
                self.given += len(event)
                yield event
                # To a client that has gone, uvicorn "sends" without ever waiting.
                await asyncio.sleep(0)

        return StreamingResponse(events(), media_type="text/event-stream")


@pytest.fixture
def endless(tmp_path: Path) -> Iterator[tuple[EndlessEngine, Path]]:
    engine = EndlessEngine(tmp_path / "engine.sock")
    thread = threading.Thread(target=engine.server.run)
    thread.start()
    while not engine.server.started:
        assert thread.is_alive()
    yield engine, tmp_path / "engine.sock"
    engine.server.should_exit = engine.server.force_exit = True
    thread.join()


def test_an_engine_waits_for_a_client_that_does_not_read(
    endless: tuple[EndlessEngine, Path],
) -> None:
    """What is on its way stays in buffers of fixed size, however long the answer is."""
    engine, uds = endless

    async def read_some() -> tuple[int, int]:
        client = EngineClient(uds, "key")
        stream = client.stream("/v1/completions", {"prompt": [1]})
        for _ in range(10):
            await anext(stream)
        settled, at = engine.given, -1
        while settled != at:
            await asyncio.sleep(0.5)
            settled, at = engine.given, settled
        for _ in range(500):
            await anext(stream)
        more = engine.given
        await stream.aclose()
        await client.close()
        return settled, more

    settled, more = asyncio.run(read_some())
    assert settled < 20_000_000
    # It goes on where it is read: 5 MB were taken out.
    assert more > settled
