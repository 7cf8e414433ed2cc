"""The client against a scripted server: real HTTP on loopback, byte by byte."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from ui.client import Gateway
from ui.events import Delta, Done, Event, GatewayError, Opened, PlayerSaid

MODEL = "ft:embedded:me:adventure:3f9a1c2b"
HEADERS = f"x-lmft-model: {MODEL}\r\nx-lmft-adapter: 0c9e6ab1f2d4\r\n"


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 30))


class Exchange:
    """One request, and the bytes that answer it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.head = ""
        self.body: dict[str, Any] = {}

    async def read(self) -> None:
        self.head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
        lines = self.head.lower().splitlines()
        length = next((line for line in lines if line.startswith("content-length:")), ":0")
        raw = await self._reader.readexactly(int(length.split(":")[1]))
        self.body = json.loads(raw or "{}")

    async def say(self, raw: bytes | str) -> None:
        self._writer.write(raw.encode() if isinstance(raw, str) else raw)
        await self._writer.drain()

    async def begin(self, status: str = "200 OK", headers: str = HEADERS) -> None:
        """A body that ends when the connection does."""
        await self.say(f"HTTP/1.1 {status}\r\n{headers}connection: close\r\n\r\n")

    async def event(self, value: object) -> None:
        await self.say(f"data: {json.dumps(value)}\n\n")

    async def hung_up(self) -> None:
        """The client closes the connection."""
        assert await self._reader.read() == b""


@asynccontextmanager
async def server(answer: Callable[[Exchange], Awaitable[None]]) -> AsyncIterator[str]:
    faults: list[BaseException] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        exchange = Exchange(reader, writer)
        try:
            await exchange.read()
            await answer(exchange)
        except BaseException as fault:
            faults.append(fault)
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    assert faults == []


@asynccontextmanager
async def gateway(url: str, **options: Any) -> AsyncIterator[Gateway]:
    client = Gateway(url, **options)
    try:
        yield client
    finally:
        await client.aclose()


async def collect(events: AsyncIterator[Event]) -> list[Event]:
    return [event async for event in events]


def play(answer: Callable[[Exchange], Awaitable[None]], **options: Any) -> list[Event]:
    events: list[Event] = []

    async def test() -> None:
        async with server(answer) as url, gateway(url, **options) as client:
            turns = [{"by": "narrator", "text": "A door."}]
            async for event in client.play(MODEL, turns, seed=7, temperature=0.5):
                events.append(event)

    run(test())
    return events


def test_play_reads_the_whole_turn() -> None:
    asked: dict[str, Any] = {}

    async def answer(exchange: Exchange) -> None:
        asked.update(exchange.body, head=exchange.head)
        await exchange.begin()
        await exchange.say(": a comment\n\n")
        await exchange.event({"type": "turn", "text": "> You wait."})
        await exchange.event({"type": "delta", "text": "It rains"})
        await exchange.event({"type": "delta", "text": " still. And"})
        await exchange.event(
            {
                "type": "done",
                "text": "It rains still.",
                "finish_reason": "length",
                "model": MODEL,
                "adapter": "0c9e6ab1f2d4",
                "dropped_turns": 2,
                "usage": {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14},
            }
        )
        await exchange.say("data: [DONE]\n\n")

    events = play(answer, api_key="secret")
    assert asked["model"] == MODEL
    assert asked["turns"] == [{"by": "narrator", "text": "A door."}]
    assert (asked["seed"], asked["temperature"]) == (7, 0.5)
    assert "authorization: bearer secret" in asked["head"].lower()
    *told, done = events
    assert told == [
        Opened(MODEL, "0c9e6ab1f2d4"),
        PlayerSaid("> You wait."),
        Delta("It rains"),
        Delta(" still. And"),
    ]
    assert isinstance(done, Done)
    assert (done.text, done.finish_reason, done.tokens) == ("It rains still.", "length", 5)
    assert (done.model, done.adapter, done.dropped_turns) == (MODEL, "0c9e6ab1f2d4", 2)
    assert done.ttft is not None


def test_text_survives_any_cut_of_the_bytes() -> None:
    # A character cut in two, line ends of both kinds, and marks that some readers of lines
    # take for line ends.
    text = "Ætt — “né”\u2028\u2029\x85\x0b\x1c end"
    raw = "".join(
        f"data:{json.dumps({'type': kind, 'text': text}, ensure_ascii=False)}{end}{end}"
        for kind, end in (("delta", "\r\n"), ("done", "\n"))
    ).encode()

    async def answer(exchange: Exchange) -> None:
        await exchange.begin()
        for position in range(len(raw)):
            await exchange.say(raw[position : position + 1])
        await exchange.say("data: [DONE]\n\n")

    _, delta, done = play(answer)
    assert delta == Delta(text)
    assert isinstance(done, Done)
    assert done.text == text


def test_complete_counts_and_identifies() -> None:
    async def answer(exchange: Exchange) -> None:
        assert exchange.body["stream"] is True
        assert exchange.body["stream_options"] == {"include_usage": True}
        assert exchange.body["prompt"] == "The tide"
        await exchange.begin()
        chunk = {"system_fingerprint": "fp-1", "usage": None}
        await exchange.event(chunk | {"choices": [{"text": "", "finish_reason": None}]})
        await exchange.event(chunk | {"choices": [{"text": " went", "finish_reason": None}]})
        await exchange.event(chunk | {"choices": [{"text": " out.", "finish_reason": "stop"}]})
        await exchange.event(chunk | {"choices": [], "usage": {"completion_tokens": 3}})
        await exchange.say("data: [DONE]\n\n")

    async def test() -> None:
        async with server(answer) as url, gateway(url) as client:
            *deltas, done = await collect(client.complete("m", "The tide", seed=1))
            assert deltas == [Opened(MODEL, "0c9e6ab1f2d4"), Delta(" went"), Delta(" out.")]
            assert isinstance(done, Done)
            assert done.text is None
            assert (done.finish_reason, done.tokens, done.fingerprint) == ("stop", 3, "fp-1")
            # The server's word, not the name that was asked for.
            assert (done.model, done.adapter) == (MODEL, "0c9e6ab1f2d4")
            assert done.ttft is not None

    run(test())


@pytest.mark.parametrize(
    ("status", "headers", "body", "code", "message", "retry_after"),
    [
        (
            "503 Service Unavailable",
            "retry-after: 3\r\n",
            '{"error": {"message": "loading", "code": "engine_starting"}}',
            "engine_starting",
            "loading",
            3.0,
        ),
        (
            "404 Not Found",
            "",
            '{"error": {"message": "no such model", "code": "model_not_found"}}',
            "model_not_found",
            "no such model",
            None,
        ),
        ("502 Bad Gateway", "retry-after: soon\r\n", "<h1>proxy</h1>", "", "502 Bad Gateway", None),
        ("500 Oops", "", '{"error": "in words"}', "", "in words", None),
    ],
)
def test_a_refusal_is_one_kind_of_error(
    status: str, headers: str, body: str, code: str, message: str, retry_after: float | None
) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.begin(status, headers)
        await exchange.say(body)

    with pytest.raises(GatewayError) as caught:
        play(answer)
    assert caught.value.code == code
    assert caught.value.message == message
    assert caught.value.retry_after == retry_after


def test_an_error_in_mid_stream_ends_it() -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.event({"type": "delta", "text": "It rains"})
        await exchange.event({"error": {"message": "the engine died", "code": "engine_died"}})
        await exchange.hung_up()

    with pytest.raises(GatewayError, match="the engine died") as caught:
        play(answer)
    assert caught.value.code == "engine_died"


@pytest.mark.parametrize("ending", ["", "data: [DONE]\n\n", "data: {torn\n\n"])
def test_an_answer_without_its_end_is_a_lost_connection(ending: str) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.event({"type": "delta", "text": "It rains"})
        await exchange.say(ending)

    with pytest.raises(GatewayError) as caught:
        play(answer)
    assert caught.value.code == "connection_lost"


def test_a_torn_body_is_a_lost_connection() -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.begin(headers="content-length: 1000\r\n")
        await exchange.event({"type": "delta", "text": "It rains"})

    with pytest.raises(GatewayError) as caught:
        play(answer)
    assert caught.value.code == "connection_lost"


def test_nobody_there() -> None:
    async def test() -> None:
        async with server(Exchange.hung_up) as url:
            pass
        async with gateway(url) as client:
            with pytest.raises(GatewayError, match="No lmft server answers at") as caught:
                await client.models()
            assert caught.value.code == "connection_failed"

    run(test())


def test_a_silent_server_is_given_up() -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.event({"type": "delta", "text": "It rains"})
        await exchange.hung_up()

    with pytest.raises(GatewayError) as caught:
        play(answer, silence_s=0.05)
    assert caught.value.code == "timed_out"


def test_closing_the_iterator_hangs_up() -> None:
    async def test() -> None:
        noticed = asyncio.Event()

        async def answer(exchange: Exchange) -> None:
            await exchange.begin()
            await exchange.event({"type": "delta", "text": "It rains"})
            await exchange.hung_up()
            noticed.set()

        async with server(answer) as url, gateway(url) as client:
            async with aclosing(client.play(MODEL, [])) as events:
                assert await anext(events) == Opened(MODEL, "0c9e6ab1f2d4")
                assert await anext(events) == Delta("It rains")
            # Not the end of the client: it goes on serving other visitors.
            await noticed.wait()

    run(test())


def test_cancelling_the_reader_hangs_up() -> None:
    async def test() -> None:
        noticed, began = asyncio.Event(), asyncio.Event()

        async def answer(exchange: Exchange) -> None:
            # Not even headers: a model that is being loaded.
            began.set()
            await exchange.hung_up()
            noticed.set()

        async with server(answer) as url, gateway(url) as client:
            task = asyncio.create_task(collect(client.complete(MODEL, "The tide")))
            await began.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await noticed.wait()

    run(test())


def test_readiness_and_models_without_aliases(monkeypatch: pytest.MonkeyPatch) -> None:
    # A proxy for the internet must not come between two processes of one machine.
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")

    async def answer(exchange: Exchange) -> None:
        if exchange.head.startswith("GET /readyz"):
            await exchange.begin("503 Service Unavailable", "")
            await exchange.say('{"status": "starting", "phase": "weights", "detail": ""}')
        else:
            await exchange.begin()
            entry = {"id": MODEL, "created": 5, "lmft": {"kind": "adventure", "base": "embedded"}}
            alias = {"id": MODEL[:-9], "created": 5, "lmft": {**entry["lmft"], "alias_of": MODEL}}
            await exchange.say(json.dumps({"data": [entry, alias, {"id": "embedded"}]}))

    async def test() -> None:
        async with server(answer) as url, gateway(url) as client:
            readiness = await client.ready()
            assert (readiness.status, readiness.phase) == ("starting", "weights")
            assert [(m.id, m.kind) for m in await client.models()] == [
                (MODEL, "adventure"),
                ("embedded", "base"),
            ]

    run(test())
