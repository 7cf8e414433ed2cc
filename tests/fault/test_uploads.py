"""Uploads that are huge, that break off, or that meet a full disk: flat memory, nothing left."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import random
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from lmft.files.files import Files
from lmft.files.sweep import sweep
from lmft.store.database import open_store
from lmft.store.keys import Keys
from lmft.store.projects import ProjectLimits, Projects
from serving.gateway.uploading import MAX_OF_A_PROJECT, MAX_UPLOADS
from tests.conftest import ROOT, START_SECONDS
from tests.engineless import Server, served
from tests.unit.small_disk import mounted

MIB = 1 << 20
LINES = (b"A line of a long, long story that goes on and on.\r\n" * 21_000)[:MIB]
TYPE = {"content-type": "multipart/form-data; boundary=frontier"}
HEAD = (
    b'--frontier\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n'
    b'--frontier\r\nContent-Disposition: form-data; name="file"; filename="long.txt"\r\n\r\n'
)
END = b"\r\n--frontier--\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("uploads")) as running:
        yield running


def form(mib: int) -> Iterator[bytes]:
    yield HEAD
    for _ in range(mib):
        yield LINES
    yield END


def left(home: Path) -> list[str]:
    """Everything in the directory of files that is one."""
    return [path.name for path in (home / "files").rglob("*") if path.is_file()]


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Watched:
    """What the server's memory came to, and that it answered others meanwhile.

    Attributes:
        grown: bytes of resident memory at the highest, more than before. answers: to /healthz.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._process = psutil.Process(server.process.pid)
        self._over = threading.Event()
        self.grown = self.answers = 0

    def __enter__(self) -> Watched:
        self._before = self._process.memory_info().rss
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        with self._server.client() as http:
            while not self._over.is_set():
                self.answers += http.get("/healthz").status_code == 200
                self.grown = max(self.grown, self._process.memory_info().rss - self._before)


def test_512_mib_go_through_flat_memory_and_hold_up_nobody(server: Server) -> None:
    with server.client() as http:
        small = http.post("/v1/files", content=form(1), headers=TYPE).json()["id"]
        with Watched(server) as watched:
            made = http.post("/v1/files", content=form(512), headers=TYPE).json()
        assert made["bytes"] == 512 * MIB
        assert watched.grown < 50 * MIB
        # It takes seconds; whoever is held up for one of them would answer a few times.
        assert watched.answers > 20
        told = hashlib.sha256()
        with (
            Watched(server) as watched,
            http.stream("GET", f"/v1/files/{made['id']}/content") as content,
        ):
            for piece in content.iter_raw():
                told.update(piece)
        assert watched.grown < 50 * MIB
        assert told.hexdigest() in left(server.home)
        for id in (small, made["id"]):
            http.delete(f"/v1/files/{id}")
    assert left(server.home) == ["lock"]


def test_1_gib_is_refused_at_the_limit_and_nothing_is_left(server: Server) -> None:
    given = 0

    def counted() -> Iterator[bytes]:
        nonlocal given
        for piece in form(1024):
            # What comes in the moment after the refusal is taken and dropped. A fast machine would
            # have the rest of it through in that moment, so the client is a slow one from here on.
            if given > 512 * MIB:
                time.sleep(0.01)
            given += len(piece)
            yield piece

    with server.client() as http, Watched(server) as watched:
        refused = http.post("/v1/files", content=counted(), headers=TYPE)
    assert refused.status_code == 413
    assert refused.headers["connection"] == "close"
    assert given < 1000 * MIB
    assert watched.grown < 50 * MIB
    until(lambda: left(server.home) == ["lock"])


def test_1_gib_that_is_announced_is_refused_before_it_comes(server: Server) -> None:
    host, _, port = server.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=START_SECONDS) as connection:
        connection.sendall(_request(server, f"Content-Length: {1 << 30}") + HEAD)
        assert connection.recv(4096).startswith(b"HTTP/1.1 413")
    assert left(server.home) == ["lock"]


def test_a_byte_more_than_a_file_may_have_is_refused(tmp_path: Path) -> None:
    with served(tmp_path, LMFT_MAX_FILE_BYTES="1000") as server, server.client() as http:
        for n_bytes, status in ((1000, 200), (1001, 413), (100_000, 413)):
            answer = http.post(
                "/v1/files", files={"file": ("a", b"x" * n_bytes)}, data={"purpose": "evals"}
            )
            assert answer.status_code == status
        body = {"bytes": 1000, "filename": "a", "mime_type": "text/plain", "purpose": "evals"}
        upload = http.post("/v1/uploads", json=body).json()["id"]
        for n_bytes, status in ((100_000, 413), (1001, 400), (1000, 200)):
            answer = http.post(f"/v1/uploads/{upload}/parts", files={"data": b"x" * n_bytes})
            assert answer.status_code == status
        assert http.post("/v1/completions", content=b"x" * 5_000_000).status_code == 413


def test_a_client_that_goes_leaves_nothing(server: Server) -> None:
    host, _, port = server.url.removeprefix("http://").partition(":")
    chunk = f"{len(LINES):x}\r\n".encode() + LINES + b"\r\n"
    first = f"{len(HEAD):x}\r\n".encode() + HEAD + b"\r\n"
    for length in ("Content-Length: 10000000", "Transfer-Encoding: chunked"):
        with socket.create_connection((host, int(port)), timeout=START_SECONDS) as connection:
            chunked = length.endswith("chunked")
            connection.sendall(_request(server, length) + (first + chunk * 3 if chunked else HEAD))
            until(lambda: len(left(server.home)) > 1)
            if not chunked:
                connection.sendall(LINES * 3)
        until(lambda: left(server.home) == ["lock"])


def _request(server: Server, length: str) -> bytes:
    return (
        f"POST /v1/files HTTP/1.1\r\nHost: {server.url.removeprefix('http://')}\r\n"
        f"Content-Type: {TYPE['content-type']}\r\n{length}\r\n\r\n"
    ).encode()


def test_what_a_killed_server_was_taking_in_is_gone_at_the_next_start(tmp_path: Path) -> None:
    with served(tmp_path) as server, server.client() as http:
        kept = http.post("/v1/files", content=form(1), headers=TYPE).json()
        upload = http.post(
            "/v1/uploads",
            json={
                "bytes": 2,
                "filename": "a",
                "mime_type": "text/plain",
                "purpose": "fine-tune",
            },
        ).json()["id"]
        part = http.post(f"/v1/uploads/{upload}/parts", files={"data": b"a"}).json()["id"]

        def endless() -> Iterator[bytes]:
            yield HEAD
            while True:
                yield LINES
                if any((tmp_path / "files" / "staging").iterdir()):
                    server.process.kill()

        with contextlib.suppress(httpx.TransportError), server.client() as other:
            other.post("/v1/files", content=endless(), headers=TYPE)
        server.process.wait()
        assert len(list((tmp_path / "files" / "staging").iterdir())) == 1
    with served(tmp_path) as server, server.client() as http:
        until(lambda: not list((tmp_path / "files" / "staging").iterdir()))
        listed = http.get("/v1/files").json()["data"]
        assert listed == [kept]
        assert http.get(f"/v1/files/{kept['id']}/content").content == LINES
        second = http.post(f"/v1/uploads/{upload}/parts", files={"data": b"b"}).json()["id"]
        done = http.post(f"/v1/uploads/{upload}/complete", json={"part_ids": [part, second]})
        assert done.json()["status"] == "completed"


def test_a_full_disk_is_said_and_what_is_there_stays(tmp_path: Path) -> None:
    with (
        mounted(tmp_path / "small", "size=12m") as home,
        served(home) as server,
        server.client() as http,
    ):
        kept = http.post("/v1/files", content=form(2), headers=TYPE).json()["id"]
        refused = http.post("/v1/files", content=form(40), headers=TYPE)
        assert refused.status_code == 503
        assert refused.json()["error"]["code"] == "storage_full"
        assert str(home) not in refused.text
        until(lambda: not list((home / "files" / "staging").iterdir()))
        assert http.get(f"/v1/files/{kept}/content").content == LINES * 2
        # Room enough for a small one.
        again = http.post("/v1/files", content=form(1), headers=TYPE)
        assert again.status_code == 200
        assert http.delete(f"/v1/files/{kept}").status_code == 200


def test_a_locked_database_refuses_and_leaves_nothing(server: Server) -> None:
    before = sorted(left(server.home))
    locked = sqlite3.connect(server.home / "lmft.db", isolation_level=None)
    try:
        locked.execute("BEGIN IMMEDIATE")
        with server.client() as http:
            refused = http.post("/v1/files", content=form(1), headers=TYPE)
            assert refused.status_code == 503
            assert http.get("/v1/files").status_code == 200
    finally:
        locked.close()
    assert sorted(left(server.home)) == before


def test_uploads_that_wait_for_one_another_keep_nobody_else_waiting(tmp_path: Path) -> None:
    """As many as may be; mostly more than asyncio has threads, where keys are looked up."""
    store = open_store(tmp_path / "lmft.db")
    Projects(store).create("shop", ProjectLimits())
    keys = [Keys(store).create(name, ["files"], project=name)[1] for name in ("me", "shop")]
    store.close()
    files = tmp_path / "files"

    def upload(number: int) -> int:
        with server.client(keys[number % 2]) as http:
            answer = http.post("/v1/files", files={"file": b"a"}, data={"purpose": "evals"})
        return answer.status_code

    with (
        served(tmp_path) as server,
        server.client(keys[0]) as http,
        ThreadPoolExecutor(MAX_UPLOADS) as clients,
    ):
        until((files / "lock").exists)
        with (files / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            waiting = [clients.submit(upload, n) for n in range(MAX_UPLOADS)]
            until(lambda: len(list((files / "staging").iterdir())) == MAX_UPLOADS)
            for _ in range(20):
                assert http.get("/v1/files").status_code == 200
            assert not any(one.done() for one in waiting)
        assert [one.result() for one in waiting] == [200] * MAX_UPLOADS


def test_a_click_that_comes_as_often_as_may_be_is_one_file(server: Server) -> None:
    def click(_: int) -> str:
        with server.client() as http:
            answer = http.post(
                "/v1/files", content=form(1), headers=TYPE | {"idempotency-key": "click"}
            )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    with ThreadPoolExecutor(MAX_OF_A_PROJECT) as clients:
        made = set(clients.map(click, range(MAX_OF_A_PROJECT)))
    assert len(made) == 1
    with server.client() as http:
        assert http.delete(f"/v1/files/{made.pop()}").status_code == 200


CHURN = """
import sys
from lmft.files.file import NewFile
from lmft.files.files import Files
from lmft.files.uploads import Uploads
from lmft.store.database import open_store

store = open_store()
files, uploads = Files(store), Uploads(store)
for round in range(1_000_000):
    content = bytes([65 + round % 7]) * 100_000
    staged = files.stage()
    staged.write(content)
    made = files.take(staged, NewFile(1, "evals", f"{round}.txt"))
    staged.discard()
    upload = uploads.create(NewFile(1, "evals", "parts.txt"), 100_000, "text/plain")
    staged = uploads.stage()
    staged.write(content)
    part = uploads.add_part(staged, upload.id)
    staged.discard()
    if round % 2:
        uploads.complete(upload.id, [part.id])
    if round % 3:
        files.delete(made.id)
    print(round, flush=True)
"""


def test_whenever_a_process_is_killed_rows_and_contents_agree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LMFT_HOME", str(tmp_path))
    when = random.Random(6)
    store = open_store()
    files = Files(store)
    for _ in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", CHURN], cwd=ROOT, stdout=subprocess.PIPE, env={**os.environ}
        )
        assert process.stdout is not None
        assert process.stdout.readline()
        time.sleep(when.random() / 5)
        process.kill()
        process.communicate()
        for swept in (False, True):
            if swept:
                sweep(store)
            for file in files.list()[0]:
                content = files.path_of(file).read_bytes()
                assert hashlib.sha256(content).hexdigest() == file.sha256
        blobs = {path.name for path in (tmp_path / "files" / "blobs").iterdir()}
        assert blobs == {file.sha256 for file in files.list()[0]}
        assert not list((tmp_path / "files" / "staging").iterdir())
    store.close()
