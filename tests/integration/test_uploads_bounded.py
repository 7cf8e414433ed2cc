"""What an upload may take before it counts: places, room, time; and that nothing of it stays."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from lmft.store.database import Store
from lmft.store.keys import Keys
from lmft.store.projects import ProjectLimits, Projects
from serving.gateway import uploading
from tests.conftest import START_SECONDS
from tests.integration.bare_gateway import bare_gateway

HEAD = (
    b'--frontier\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nevals\r\n'
    b'--frontier\r\nContent-Disposition: form-data; name="%s"; filename="long.txt"\r\n\r\n'
)
MIB = 1 << 20


class Served:
    """The gateway, and a project with a key of its own beside `me`."""

    def __init__(self, home: Path, url: str, store: Store) -> None:
        self.home, self.url = home, url
        Projects(store).create("shop", ProjectLimits(disk_bytes=MIB))
        self.keys = {
            name: Keys(store).create(name, ["files"], project=name)[1] for name in ("me", "shop")
        }

    def client(self, project: str = "me") -> httpx.Client:
        headers = {"authorization": f"Bearer {self.keys[project]}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=START_SECONDS)

    def put(self, content: bytes, project: str = "me", **headers: str) -> httpx.Response:
        with self.client(project) as http:
            return http.post(
                "/v1/files",
                files={"file": ("a.txt", content)},
                data={"purpose": "evals"},
                headers=headers,
            )

    @contextlib.contextmanager
    def begun(
        self, path: str = "/v1/files", project: str = "me", length: str = "Content-Length: 40000"
    ) -> Iterator[socket.socket]:
        """An upload of which no more than its first bytes comes, unless somebody sends more."""
        host, _, port = self.url.removeprefix("http://").partition(":")
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\n"
            f"Authorization: Bearer {self.keys[project]}\r\n"
            f"Content-Type: multipart/form-data; boundary=frontier\r\n{length}\r\n\r\n"
        )
        form = HEAD % (b"file" if path == "/v1/files" else b"data")
        if "chunked" in length:
            form = b"%x\r\n%b\r\n" % (len(form), form)
        with socket.create_connection((host, int(port)), timeout=START_SECONDS) as connection:
            connection.sendall(head.encode() + form)
            yield connection

    def staged(self) -> int:
        """How many are on their way in."""
        directory = self.home / "files" / "staging"
        return len(list(directory.iterdir())) if directory.exists() else 0


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setenv("LMFT_HOME", str(tmp_path))
    with bare_gateway(tmp_path) as (url, store):
        yield Served(tmp_path, url, store)


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def answer(connection: socket.socket) -> str:
    """All of it: the server closes the connection behind it."""
    said = b""
    while piece := connection.recv(65_536):
        said += piece
    return said.decode()


def test_a_project_has_so_many_uploads_under_way_and_keeps_no_other_waiting(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploading, "MAX_OF_A_PROJECT", 2)
    with contextlib.ExitStack() as held:
        for _ in range(2):
            held.enter_context(served.begun())
        until(lambda: served.staged() == 2)
        with served.begun() as third:
            refused = answer(third)
        assert refused.startswith("HTTP/1.1 429")
        assert "retry-after: 5" in refused.lower()
        assert "server_busy" in refused
        assert served.staged() == 2
        assert served.put(b"theirs", "shop").status_code == 200
    until(lambda: served.put(b"mine").status_code == 200)
    until(lambda: served.staged() == 0)


def test_a_server_has_so_many_uploads_under_way(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploading, "MAX_UPLOADS", 1)
    body = {"bytes": 4, "filename": "a", "mime_type": "text/plain", "purpose": "evals"}
    with served.client() as http:
        upload = http.post("/v1/uploads", json=body).json()["id"]
        part = http.post(f"/v1/uploads/{upload}/parts", files={"data": b"tale"}).json()["id"]
        complete = f"/v1/uploads/{upload}/complete"
        with served.begun(f"/v1/uploads/{upload}/parts"):
            until(lambda: served.staged() == 1)
            assert served.put(b"theirs", "shop").status_code == 429
            # Of a large one, this writes as much as all of its parts.
            busy = http.post(complete, json={"part_ids": [part]})
            assert (busy.status_code, busy.headers["retry-after"]) == (429, "5")
        until(lambda: http.post(complete, json={"part_ids": [part]}).status_code == 200)


def test_what_is_announced_and_has_no_room_is_refused_before_it_comes(served: Served) -> None:
    with served.begun(project="shop", length=f"Content-Length: {2 * MIB}") as sending:
        refused = answer(sending)
    assert refused.startswith("HTTP/1.1 403")
    assert "quota_exceeded" in refused
    with served.client("shop") as http:
        body = {"bytes": MIB, "filename": "a", "mime_type": "text/plain", "purpose": "evals"}
        upload = http.post("/v1/uploads", json=body).json()["id"]
    parts = f"/v1/uploads/{upload}/parts"
    with served.begun(parts, "shop", f"Content-Length: {2 * MIB}") as sending:
        assert answer(sending).startswith("HTTP/1.1 403")
    assert served.staged() == 0


def test_room_for_a_file_needs_none_for_the_form_around_it(served: Served) -> None:
    tale = b"x" * MIB
    first = served.put(tale, "shop", **{"Idempotency-Key": "a-click"})
    assert first.status_code == 200
    # The answer was lost: what is sent again takes no more room.
    assert served.put(tale, "shop", **{"Idempotency-Key": "a-click"}).json() == first.json()
    assert served.put(tale, "shop").status_code == 403
    assert served.put(b"small", "shop").status_code == 403
    assert served.staged() == 0


@pytest.mark.parametrize("length", ["Content-Length: 4000000", "Transfer-Encoding: chunked"])
def test_an_upload_that_does_not_go_on_ends_and_leaves_nothing(
    served: Served, monkeypatch: pytest.MonkeyPatch, length: str
) -> None:
    monkeypatch.setattr(uploading, "IDLE_SECONDS", 0.5)
    with served.begun(length=length) as sending:
        until(lambda: served.staged() == 1)
        timed_out = answer(sending)
    assert timed_out.startswith("HTTP/1.1 408")
    assert "request_timeout" in timed_out
    assert served.staged() == 0
    assert served.put(b"mine").status_code == 200


def test_a_byte_now_and_then_is_idle_too_and_a_slow_upload_is_not(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploading, "IDLE_SECONDS", 2.0)
    monkeypatch.setattr(uploading, "LEAST_BYTES", 1_000)
    with served.begun() as dripping:
        dripping.settimeout(0.05)
        for _ in range(900):
            dripping.sendall(b"x")
            with contextlib.suppress(TimeoutError):
                assert dripping.recv(65_536).startswith(b"HTTP/1.1 408")
                break
        else:
            raise AssertionError("it goes on for ever")
    end = b"\r\n--frontier--\r\n"
    form = HEAD % b"file"
    with served.begun(length=f"Content-Length: {len(form) + 8_000 + len(end)}") as slow:
        for _ in range(8):
            time.sleep(0.3)
            slow.sendall(b"x" * 1_000)
        slow.sendall(end)
        assert slow.recv(65_536).startswith(b"HTTP/1.1 200")
