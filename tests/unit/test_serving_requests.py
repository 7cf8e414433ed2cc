"""The outermost middleware, work that ends when nobody waits, and the server's way down.

A small ASGI application stands for the gateway's routes; the server is the real uvicorn.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from prometheus_client import generate_latest
from starlette.types import Message, Receive, Scope, Send

from lmft.errors import EngineError
from lmft.registry.traffic import Counts
from serving.gateway import events
from serving.gateway.asking import wait_seconds
from serving.gateway.events import Events
from serving.watch.drain import Drain, LeavingError
from serving.watch.meter import Meter
from serving.watch.metrics import Metrics
from serving.watch.record import Record
from serving.watch.requests import Requests
from serving.watch.server import DrainingServer
from serving.watch.wanted import ClientGoneError, wanted
from serving.watch.watch import Watch

SECRET = "Bearer sk-verysecret"


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Watch]:
    monkeypatch.setenv("LMFT_HOME", str(tmp_path))
    with contextlib.closing(Watch(drain_seconds=30, log_texts=False)) as made:
        yield made


def lines() -> list[dict[str, Any]]:
    from lmft.paths import home

    text = (home() / "logs" / "gateway.log").read_text()
    return [json.loads(line) for line in text.splitlines()]


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """Fails where the path says so."""
    path = scope["path"]
    if path.endswith("/fails"):
        raise RuntimeError("a fault of ours")
    if path.endswith("/late"):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("a fault of ours")
    body = {"error": {"code": "model_not_found"}} if path.endswith("/nobody") else {}
    status = 404 if body else 200
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})


def ask(watch: Watch, path: str, **headers: str) -> httpx.Response:
    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(Requests(answer, watch))
        async with httpx.AsyncClient(transport=transport, base_url="http://lmft") as http:
            return await http.get(path, headers=headers)

    return asyncio.run(asked())


@pytest.mark.parametrize("given", ["app-1", "9f1c:2.b", "a" * 128])
def test_a_sane_request_id_comes_back(watch: Watch, given: str) -> None:
    assert ask(watch, "/v1/x", **{"x-request-id": given}).headers["x-request-id"] == given
    assert lines()[-1]["id"] == given


@pytest.mark.parametrize("given", ["", "a b", "-x", 'x"}', "a" * 129, "é"])
def test_any_other_is_replaced(watch: Watch, given: str) -> None:
    headers = {"x-request-id": given.encode()}
    said = ask(watch, "/v1/x", **headers).headers["x-request-id"]  # type: ignore[arg-type]
    assert said.startswith("req_")
    assert len(said) == 28


def test_a_fault_of_ours_is_answered_with_the_requests_id_and_no_traceback(watch: Watch) -> None:
    failed = ask(watch, "/v1/fails", **{"x-request-id": "app-2"})
    assert failed.status_code == 500
    assert failed.headers["x-request-id"] == "app-2"
    assert "a fault of ours" not in failed.text
    assert lines()[-1]["status"] == 500


def test_a_fault_after_the_status_line_is_logged_and_ends_the_answer(watch: Watch) -> None:
    with pytest.raises(RuntimeError):
        ask(watch, "/v1/late")
    assert lines()[-1]["path"] == "/v1/late"


def test_the_log_names_the_error_but_no_key_and_no_query(watch: Watch) -> None:
    ask(watch, "/v1/models/nobody?key=sk-other", authorization=SECRET)
    (line,) = lines()
    assert (line["status"], line["code"]) == (404, "model_not_found")
    assert "sk-" not in json.dumps(line)


def test_pages_and_health_checks_are_not_logged(watch: Watch) -> None:
    assert "x-request-id" in ask(watch, "/healthz").headers
    ask(watch, "/v1/x")
    assert [line["path"] for line in lines()] == ["/v1/x"]


def test_what_clients_invent_makes_no_new_series(watch: Watch) -> None:
    ask(watch, "/v1/x")
    one = generate_latest(watch.metrics.registry).count(b"\n")
    for number in range(50):
        ask(watch, f"/v1/x{number}", **{"x-request-id": f"id-{number}"})
    said = generate_latest(watch.metrics.registry)
    assert said.count(b"\n") == one
    assert b'lmft_requests_total{model="",route="none",status="200"} 51.0' in said


def test_the_log_stays_bounded(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    from lmft.paths import home

    monkeypatch.setattr(watch.log._handler, "maxBytes", 500)
    for _ in range(40):
        ask(watch, "/v1/x")
    files = sorted((home() / "logs").glob("gateway.log*"))
    assert len(files) == 6
    assert all(file.stat().st_size <= 500 for file in files)
    assert all(file.stat().st_mode & 0o077 == 0 for file in files)


def test_a_full_disk_costs_no_request(watch: Watch, caplog: pytest.LogCaptureFixture) -> None:
    watch.log._handler.baseFilename = "/dev/full"
    for _ in range(3):
        assert ask(watch, "/v1/x").status_code == 200
    assert len([record for record in caplog.records if "not logged" in record.message]) == 1


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        ([], 0),
        (["wait=20"], 20),
        (["respond-async, wait=20"], 20),
        (["respond-async", 'wait="20"; x=1'], 20),
        (["Wait = 5"], 5),
        (["wait=100000"], 600),
        (["wait=-1"], 0),
        (["wait=soon"], 0),
        (["await=5"], 0),
    ],
)
def test_prefer_wait_is_read_as_rfc_7240_writes_it(prefer: list[str], seconds: float) -> None:
    assert wait_seconds(prefer) == seconds


class Line:
    """The client's side of one request: `leave` closes the connection."""

    def __init__(self) -> None:
        self.left = asyncio.Event()
        self.sent: list[Message] = []

    def leave(self) -> None:
        self.left.set()

    async def receive(self) -> Message:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    @property
    def text(self) -> str:
        return b"".join(message.get("body", b"") for message in self.sent).decode()


def test_work_is_cancelled_when_the_client_leaves_and_what_it_held_is_given_back() -> None:
    async def work() -> list[str]:
        line, seen = Line(), []

        async def hold() -> None:
            try:
                async with wanted(line.receive, Drain(30)):
                    asyncio.get_running_loop().call_soon(line.leave)
                    await asyncio.sleep(60)
            finally:
                # Not cancelled a second time: this is where a lease is given back.
                await asyncio.sleep(0)
                seen.append("given back")

        with pytest.raises(ClientGoneError):
            await hold()
        return seen

    assert asyncio.run(work()) == ["given back"]


def test_a_cancellation_from_elsewhere_and_a_timeout_of_the_works_own_stay_what_they_are() -> None:
    async def cancelled() -> None:
        async with wanted(Line().receive, Drain(30)):
            await asyncio.sleep(60)

    async def main() -> None:
        task = asyncio.create_task(cancelled())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(TimeoutError):
            async with wanted(Line().receive, Drain(30)), asyncio.timeout(0.01):
                await asyncio.sleep(60)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not [task for task in left if not task.cancelling()]

    asyncio.run(main())


def test_at_the_drains_deadline_the_work_is_told_to_end() -> None:
    async def main() -> None:
        drain = Drain(0)
        drain.running = 1
        drain.begin()
        asyncio.get_running_loop().call_later(0.01, drain.done)
        with pytest.raises(LeavingError):
            async with wanted(Line().receive, drain):
                await asyncio.sleep(60)
        assert not drain.done()
        drain.running = 0
        assert drain.done()

    asyncio.run(main())


class Told:
    """A stream of numbers that knows how far it was asked to go and whether it was closed."""

    def __init__(self, n: int, error: Exception | None = None) -> None:
        self.asked = 0
        self.closed = False
        self.given_back = False
        self.record = Record("r", "POST", "/v1/completions", "")
        self.counts = Counts()
        self._n, self._error = n, error

    async def numbers(self) -> AsyncGenerator[dict[str, Any], None]:
        try:
            for number in range(self._n):
                self.asked += 1
                yield {"number": number}
                await asyncio.sleep(0)
            if self._error is not None:
                raise self._error
        finally:
            self.closed = True

    async def response(self, drain: Drain) -> Events:
        held = contextlib.AsyncExitStack()
        held.callback(lambda: setattr(self, "given_back", True))
        meter = held.enter_context(
            Meter(
                self.record,
                Metrics().of("m"),
                self.counts.add,
                sampled=False,
                outcome_of=lambda error: "gone" if isinstance(error, ClientGoneError) else "failed",
            )
        )
        told = self.numbers()
        return Events(
            await anext(told), told, held=held, meter=meter, record=self.record, drain=drain,
            headers={},
        )  # fmt: skip


def test_a_stream_ends_with_done_and_gives_back_what_it_held() -> None:
    async def main() -> None:
        told, line = Told(3), Line()
        await (await told.response(Drain(30)))({}, line.receive, line.send)
        assert line.text.count("data: ") == 4
        assert line.text.endswith("data: [DONE]\n\n")
        assert line.sent[-1]["more_body"] is False
        assert told.closed
        assert told.given_back
        assert told.counts == Counts(requests=1)

    asyncio.run(main())


def test_an_error_in_mid_stream_is_an_event_and_the_requests_status() -> None:
    async def main() -> None:
        told, line = Told(2, EngineError("The engine went away.")), Line()
        await (await told.response(Drain(30)))({}, line.receive, line.send)
        assert '"code": "engine_error"' in line.text
        assert line.text.endswith("data: [DONE]\n\n")
        assert (told.record.status, told.record.code) == (503, "engine_error")
        assert told.counts == Counts(requests=1, failed=1)
        assert told.given_back

    asyncio.run(main())


def test_a_client_that_leaves_ends_the_stream_behind_its_answer() -> None:
    async def main() -> None:
        told, line = Told(10**9), Line()
        asyncio.get_running_loop().call_later(0.02, line.leave)
        await (await told.response(Drain(30)))({}, line.receive, line.send)
        assert told.closed
        assert told.given_back
        assert told.record.status == 499
        assert told.counts == Counts(requests=1, aborted=1)
        assert "[DONE]" not in line.text

    asyncio.run(main())


def test_a_reader_that_stops_reading_holds_up_the_stream_and_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(events, "STALLED_SECONDS", 0.05)

    async def main() -> None:
        told, line = Told(10**9), Line()

        async def stuck(message: Message) -> None:
            if len(line.sent) == 5:
                await asyncio.sleep(60)
            line.sent.append(message)

        await (await told.response(Drain(30)))({}, line.receive, stuck)
        # The start, then four events; the fifth was made and not taken, the sixth never made.
        assert told.asked == 5
        assert told.closed
        assert told.given_back
        assert told.record.status == 499

    asyncio.run(main())


@contextlib.asynccontextmanager
async def serving(drain_seconds: float) -> AsyncIterator[tuple[DrainingServer, Watch, str]]:
    """The real server around an application that streams a dot every 10 ms until it may end."""
    watch = Watch(drain_seconds=drain_seconds, log_texts=False)

    async def dots(scope: Scope, receive: Receive, send: Send) -> None:
        async def stream() -> AsyncGenerator[dict[str, Any], None]:
            for _ in range(int(scope["query_string"] or b"1")):
                yield {"dot": "."}
                await asyncio.sleep(0.01)

        told = Told(1)
        told.numbers = stream  # type: ignore[method-assign]
        await (await told.response(watch.drain))(scope, receive, send)

    config = uvicorn.Config(
        Requests(dots, watch), log_level="error", lifespan="off", timeout_graceful_shutdown=5
    )
    server = DrainingServer(config, watch.drain)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        running = asyncio.create_task(server._serve([listener]))
        while not server.started:
            await asyncio.sleep(0.01)
        try:
            yield server, watch, f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = server.force_exit = True
            await running
            watch.close()


async def streamed(http: httpx.AsyncClient, url: str, dots: int) -> str:
    async with http.stream("GET", f"{url}/v1/dots?{dots}") as response:
        return (await response.aread()).decode()


def stop(server: DrainingServer) -> None:
    server.handle_exit(signal.SIGTERM, None)


def test_sigterm_closes_the_door_lets_streams_end_and_then_ends(watch: Watch) -> None:
    async def main() -> None:
        async with serving(30) as (server, watch, url), httpx.AsyncClient() as http:
            running = asyncio.create_task(streamed(http, url, 60))
            while not watch.drain.running:
                await asyncio.sleep(0.01)
            stop(server)
            refused = await http.get(f"{url}/v1/dots?1")
            assert refused.status_code == 503
            assert refused.json()["error"]["code"] == "shutting_down"
            assert refused.headers["retry-after"]
            text = await running
            assert text.count('"dot"') == 60
            assert text.endswith("data: [DONE]\n\n")
            while not server.should_exit:
                await asyncio.sleep(0.01)

    asyncio.run(main())


def test_at_the_deadline_a_stream_ends_with_an_error_event(watch: Watch) -> None:
    async def main() -> None:
        async with serving(0.2) as (server, watch, url), httpx.AsyncClient() as http:
            running = asyncio.create_task(streamed(http, url, 10**6))
            while not watch.drain.running:
                await asyncio.sleep(0.01)
            stop(server)
            text = await running
            assert '"code": "shutting_down"' in text
            assert text.endswith("data: [DONE]\n\n")

    asyncio.run(main())


def test_a_second_signal_ends_at_once(watch: Watch) -> None:
    async def main() -> None:
        async with serving(10**6) as (server, watch, url), httpx.AsyncClient() as http:
            running = asyncio.create_task(streamed(http, url, 10**6))
            while not watch.drain.running:
                await asyncio.sleep(0.01)
            stop(server)
            await asyncio.sleep(0.05)
            assert not server.should_exit
            stop(server)
            while server.should_exit and watch.drain.running:
                running.cancel()
                await asyncio.sleep(0.01)
            assert server.force_exit

    asyncio.run(main())
