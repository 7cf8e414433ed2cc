"""A body or head that is too large, over a real connection: refused in OpenAI's shape, and no more
is read."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request

from serving.gateway import errors
from serving.gateway.access import protocol
from serving.gateway.access.limits import BodyLimit
from serving.gateway.access.protocol import MAX_HEAD_BYTES, BoundedHead

MAX = 100_000


class Server(uvicorn.Server):
    """Attributes:
    seen: bytes that the application was given, a number for each request.
    """

    seen: list[int]
    port: int


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    app = FastAPI()
    errors.install(app)

    @app.post("/raw")
    async def raw(request: Request) -> dict[str, int]:
        seen.append(0)
        async for piece in request.stream():
            seen[-1] += len(piece)
        return {"bytes": seen[-1]}

    @app.post("/json")
    async def parsed(body: dict[str, str]) -> dict[str, int]:
        return {"bytes": len(body["text"])}

    app.add_middleware(BodyLimit, max_bytes=MAX)
    seen: list[int] = []
    listener = socket.create_server(("127.0.0.1", 0))
    running = Server(uvicorn.Config(app, http=BoundedHead, log_level="error"))
    running.seen, running.port = seen, listener.getsockname()[1]
    thread = threading.Thread(target=running.run, args=([listener],))
    thread.start()
    yield running
    running.should_exit = True
    thread.join()
    listener.close()


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=60) as client:
        server.seen.clear()
        yield client


def assert_refused(response: httpx.Response) -> None:
    assert response.status_code == 413
    error = response.json()["error"]
    assert error["code"] == "request_too_large"
    assert str(MAX) in error["message"]
    assert response.headers["connection"] == "close"


def pieces(total: int, size: int = 10_000) -> Iterator[bytes]:
    for _ in range(total // size):
        yield b"x" * size


def test_a_body_at_the_limit_passes(http: httpx.Client) -> None:
    assert http.post("/raw", content=b"x" * MAX).json() == {"bytes": MAX}
    assert http.post("/raw", content=pieces(MAX)).json() == {"bytes": MAX}
    assert http.post("/json", json={"text": "x" * 9_000}).json() == {"bytes": 9_000}


@pytest.mark.parametrize("path", ["/raw", "/json", "/nowhere"])
def test_an_announced_body_beyond_it_never_reaches_the_application(
    http: httpx.Client, server: Server, path: str
) -> None:
    assert_refused(http.post(path, content=b"x" * (MAX + 1)))
    assert server.seen == []


@pytest.mark.parametrize("path", ["/raw", "/json"])
def test_a_chunked_body_is_cut_where_it_goes_beyond(
    http: httpx.Client, server: Server, path: str
) -> None:
    assert_refused(http.post(path, content=pieces(10 * MAX)))
    assert sum(server.seen) <= MAX


def test_the_answer_comes_before_the_rest_of_the_body(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(
            b"POST /raw HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000\r\n\r\n" + b"x" * 1000
        )
        connection.settimeout(60)
        head, _, body = connection.recv(65536).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 413")
        while not body.endswith(b"}"):
            body += connection.recv(65536)
        assert json.loads(body)["error"]["code"] == "request_too_large"
        # And then the connection ends, although most of the body was never sent.
        assert connection.recv(1) == b""


def test_after_a_refusal_others_are_served(http: httpx.Client) -> None:
    for _ in range(3):
        assert_refused(http.post("/raw", content=pieces(2 * MAX)))
        assert http.post("/raw", content=b"x").json() == {"bytes": 1}


@pytest.mark.parametrize("length", [b"-1", b"1e9", b"99999999999999999999", b"0x10", b"1, 2", b""])
def test_a_length_that_is_none_gives_no_way_around(server: Server, length: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(
            b"POST /raw HTTP/1.1\r\nhost: x\r\ncontent-length: " + length + b"\r\n\r\n"
        )
        connection.settimeout(60)
        assert connection.recv(65536).split(b" ")[1] in (b"400", b"413")


# The head


def answer_to(server: Server, raw: bytes) -> tuple[int, str]:
    """Status and message."""
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.settimeout(60)
        connection.sendall(raw)
        answer = b""
        # What was not read of the request makes the kernel end the connection with a reset.
        with contextlib.suppress(ConnectionResetError):
            while piece := connection.recv(65536):
                answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), json.loads(body)["error"]["message"]


START = b"POST /raw HTTP/1.1\r\nhost: x\r\n"


@pytest.mark.parametrize(
    "raw",
    [
        START + b"a: " + b"x" * MAX_HEAD_BYTES + b"\r\n\r\n",
        START + b"".join(b"a%d: b\r\n" % number for number in range(9000)) + b"\r\n",
        b"POST /" + b"x" * MAX_HEAD_BYTES + b" HTTP/1.1\r\nhost: x\r\n\r\n",
    ],
    ids=["value", "many", "address"],
)
def test_a_head_beyond_the_limit_is_refused(server: Server, raw: bytes) -> None:
    status, message = answer_to(server, raw)
    assert status == 431
    assert str(MAX_HEAD_BYTES) in message


@pytest.mark.parametrize(
    ("begin", "goes_on"),
    [(START + b"a: ", b"x" * 5_000), (b"POST /", b"x" * 5_000), (START, b"a: b\r\n" * 800)],
    ids=["value", "address", "many"],
)
def test_a_head_without_end_is_not_read_for_ever(
    server: Server, begin: bytes, goes_on: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.settimeout(60)
        connection.sendall(begin)
        # Many times what the kernel holds for both sides.
        rest = goes_on * 20_000
        with pytest.raises(ConnectionError):
            connection.sendall(rest)


@pytest.mark.parametrize("raw", [b"", START, b"POST /ra"], ids=["nothing", "half", "line"])
def test_a_head_that_does_not_come_ends_the_connection(
    server: Server, monkeypatch: pytest.MonkeyPatch, raw: bytes
) -> None:
    monkeypatch.setattr(protocol, "MAX_HEAD_SECONDS", 0.2)
    status, message = answer_to(server, raw)
    assert status == 408
    assert "took longer" in message


def test_a_head_in_time_is_not_ended_by_a_slow_body(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "MAX_HEAD_SECONDS", 0.2)
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.settimeout(60)
        connection.sendall(START + b"connection: close\r\ncontent-length: 2\r\n\r\nx")
        time.sleep(0.6)
        connection.sendall(b"x")
        assert connection.makefile("rb").read().startswith(b"HTTP/1.1 200")


def test_a_large_head_and_a_body_in_one_piece_pass(server: Server) -> None:
    server.seen.clear()
    head = START + b"connection: close\r\na: " + b"x" * 60_000
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.settimeout(60)
        body = b"x" * MAX
        connection.sendall(head + b"\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        assert connection.makefile("rb").read().startswith(b"HTTP/1.1 200")
    assert server.seen == [MAX]


@pytest.mark.parametrize(
    "raw",
    [
        b"garbage\r\n\r\n",
        START + b"a: \0\r\n\r\n",
        b"POST /\0 HTTP/1.1\r\nhost: x\r\n\r\n",
        START + b"content-length: 1\r\ncontent-length: 2\r\n\r\nx",
        START + b"content-length: 1\r\ntransfer-encoding: chunked\r\n\r\nx",
        START + b"transfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    ],
    ids=["words", "NUL in a value", "NUL in the address", "two lengths", "both", "endless chunk"],
)
def test_what_is_no_http_is_refused_in_our_shape(server: Server, raw: bytes) -> None:
    assert answer_to(server, raw)[0] == 400
