"""Webhooks over real sockets: what OpenAI's own package reads at the other end, and receivers
that misbehave."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from openai import OpenAI
from sqlalchemy import update

from lmft.jobs.job import NewJob
from lmft.jobs.queue import JobQueue
from lmft.jobs.queue import create as create_job
from lmft.object_ids import mint_id
from lmft.store.database import Store, open_store
from lmft.store.job_tables import deliveries
from lmft.webhooks.endpoints import Endpoint, Endpoints
from lmft.webhooks.event import TYPES
from lmft.webhooks.outbox import enqueue
from lmft.webhooks.sender import Sender
from tests.conftest import free_port, run_lmft

# Long enough for what answers, short enough to wait for what never does.
TRY_SECONDS = 2.0


@dataclass
class Receiver:
    """A server that keeps what it is sent.

    Attributes:
        answers: statuses of the next answers; then 200. got: path, headers and body of each.
    """

    url: str
    answers: list[int] = field(default_factory=list)
    got: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)


@contextmanager
def receiving() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.got.append((self.path, headers, body))
            self.send_response(receiver.answers.pop(0) if receiver.answers else 200)
            self.send_header("location", "/elsewhere")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver = Receiver(f"http://127.0.0.1:{server.server_address[1]}/hook")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path / "lmft.db")
    yield opened
    opened.close()


@pytest.fixture
def endpoints(store: Store) -> Endpoints:
    return Endpoints(store)


@pytest.fixture
def sender(store: Store) -> Sender:
    return Sender(store, TRY_SECONDS)


def ended(store: Store, type: str = TYPES[0]) -> str:
    new = NewJob(1, None, "sft", "embedded", 1, mint_id("ft:"), ("file-a",), {}, {})
    with store.writing() as connection:
        job = create_job(connection, new)
        enqueue(connection, job.number, 1, type)
    return job.id


def due_now(store: Store) -> None:
    """Let what waits to be tried again wait no longer."""
    with store.writing() as connection:
        waits = update(deliveries).where(deliveries.c.next_at.is_not(None))
        connection.execute(waits.values(next_at=int(time.time())))


def only(endpoints: Endpoints) -> Endpoint:
    (one,) = endpoints.all()
    return one


def test_openais_package_reads_what_arrives(
    receiver: Receiver, store: Store, endpoints: Endpoints, sender: Sender
) -> None:
    client = OpenAI(api_key="x", webhook_secret=endpoints.add(receiver.url).secret)
    jobs = {type: ended(store, type) for type in TYPES}
    assert sender.deliver_due() == 3
    assert sender.deliver_due() == 0
    events = [client.webhooks.unwrap(body, headers) for _, headers, body in receiver.got]
    assert {event.type: event.data.id for event in events} == jobs
    for path, headers, _ in receiver.got:
        assert path == "/hook"
        assert headers["content-type"] == "application/json"
    assert only(endpoints).delivered == 3


def test_a_job_that_is_cancelled_is_told(
    receiver: Receiver, store: Store, endpoints: Endpoints, sender: Sender
) -> None:
    client = OpenAI(api_key="x", webhook_secret=endpoints.add(receiver.url).secret)
    new = NewJob(1, None, "sft", "embedded", 1, mint_id("ft:"), ("file-a",), {}, {})
    with store.writing() as connection:
        job = create_job(connection, new)
    assert sender.deliver_due() == 0
    for _ in range(2):
        JobQueue(store).ask("pause", job.id)
    JobQueue(store).ask("cancel", job.id)
    assert sender.deliver_due() == 1
    ((_, headers, body),) = receiver.got
    event = client.webhooks.unwrap(body, headers)
    assert (event.type, event.data.id) == ("fine_tuning.job.cancelled", job.id)


def test_a_receiver_that_fails_is_asked_again_with_the_same_event(
    receiver: Receiver, store: Store, endpoints: Endpoints, sender: Sender
) -> None:
    client = OpenAI(api_key="x", webhook_secret=endpoints.add(receiver.url).secret)
    ended(store)
    receiver.answers = [500, 404]
    for said in ("It answered 500.", "It answered 404.", ""):
        assert sender.deliver_due() == 1
        assert only(endpoints).detail == said
        assert sender.deliver_due() == 0
        due_now(store)
    events = [client.webhooks.unwrap(body, headers) for _, headers, body in receiver.got]
    assert len(events) == 3
    assert len({event.id for event in events}) == 1
    assert {headers["webhook-id"] for _, headers, _ in receiver.got} == {events[0].id}


def test_a_redirect_is_not_followed(
    receiver: Receiver, store: Store, endpoints: Endpoints, sender: Sender
) -> None:
    endpoints.add(receiver.url)
    ended(store)
    receiver.answers = [307]
    sender.deliver_due()
    assert [path for path, _, _ in receiver.got] == ["/hook"]
    assert only(endpoints).detail == "It answered 307. Redirects are not followed."


def test_no_proxy_of_the_environments_sees_it(
    receiver: Receiver,
    store: Store,
    endpoints: Endpoints,
    sender: Sender,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    endpoints.add(receiver.url)
    ended(store)
    with receiving() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        sender.deliver_due()
        assert proxy.got == []
    assert len(receiver.got) == 1


@contextmanager
def endless(first: bytes, then: bytes) -> Iterator[str]:
    """A server that answers `first`, then `then` again and again until the other end goes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        gone = threading.Event()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                try:
                    connection.sendall(first)
                    while not gone.wait(0.01):
                        connection.sendall(then)
                except OSError:
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        gone.set()
        thread.join()


HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n"


def test_an_endless_answer_is_not_read(store: Store, endpoints: Endpoints, sender: Sender) -> None:
    with endless(HEAD, b"x" * 65536) as url:
        endpoints.add(url)
        ended(store)
        assert sender.deliver_due() == 1
    assert only(endpoints).delivered == 1


@pytest.mark.parametrize(
    ("first", "then"),
    [(b"", b""), (b"HTTP/1.1 200 OK\r\n", b"x: y\r\n"), (b"HTTP/1.1 1", b"1")],
    ids=["silent", "endless head", "endless status"],
)
def test_who_does_not_come_to_an_end_is_left_in_time_and_keeps_nobody_waiting(
    receiver: Receiver,
    store: Store,
    endpoints: Endpoints,
    sender: Sender,
    first: bytes,
    then: bytes,
) -> None:
    with endless(first, then) as url:
        endpoints.add(url)
        endpoints.add(receiver.url)
        ended(store)
        assert sender.deliver_due() == 2
    odd, good = endpoints.all()
    assert odd.detail
    assert (odd.waiting, odd.delivered) == (1, 0)
    assert (good.waiting, good.delivered) == (0, 1)


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}/", "https://{here}"])
def test_who_cannot_be_reached_keeps_nobody_from_being_told(
    receiver: Receiver, store: Store, endpoints: Endpoints, sender: Sender, url: str
) -> None:
    endpoints.add(url.format(port=free_port(), here=receiver.url.partition("//")[2]))
    endpoints.add(receiver.url)
    ended(store)
    assert sender.deliver_due() == 2
    bad, good = endpoints.all()
    assert bad.detail.startswith("ConnectError")
    assert good.delivered == 1


# As a person types it


def test_an_address_is_added_tested_listed_and_removed(receiver: Receiver, tmp_path: Path) -> None:
    def lmft(*arguments: str, ends: int = 0) -> str:
        done = run_lmft("webhooks", *arguments, LMFT_HOME=str(tmp_path), COLUMNS="200")
        assert done.returncode == ends, done.stdout + done.stderr
        return done.stdout + done.stderr

    assert "No webhooks" in lmft("list")
    secret = lmft("add", receiver.url).splitlines()[-1]
    listed = lmft("list")
    assert receiver.url in listed
    assert secret not in listed
    name = next(word for word in listed.split() if word.startswith("wh_"))
    assert "took the event" in lmft("test", name)
    ((_, headers, body),) = receiver.got
    event = OpenAI(api_key="x", webhook_secret=secret).webhooks.unwrap(body, headers)
    assert (event.type, event.data.id) == (TYPES[0], "ftjob-test")
    receiver.answers = [500]
    (said,) = lmft("test", name, ends=1).splitlines()
    assert "It answered 500." in said
    assert "Removed" in lmft("remove", name)
    assert "There is no webhook" in lmft("remove", name, ends=2)
    assert "No webhooks" in lmft("list")
    assert "cannot be sent to" in lmft("add", "file:///etc/passwd", ends=2)
