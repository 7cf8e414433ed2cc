"""Names, forms and contents that mean harm: shown at most, never a path, never unpacked."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.engineless import Server, served

HARMFUL_NAMES = [
    "../../../../tmp/lmft-harm.txt",
    "..%2f..%2fetc%2fpasswd",
    "/etc/passwd",
    "C:\\Windows\\system32\\evil.txt",
    "CON",
    "aux.txt",
    "nul\x00.txt",
    "a\r\nX-Evil: 1.txt",
    "x" * 300 + ".txt",
    "fdp.\u202etxt.exe",
    "🐉" * 200,
    "\ufeff\u200b",
    ".htaccess",
    "$(touch lmft-harm).txt",
    "`id`;|&.txt",
    '"quoted".txt',
    "file-000000000000000000000000",
    "--help",
    "~/.ssh/authorized_keys",
]
# Of a form that says this boundary.
TYPE = {"content-type": "multipart/form-data; boundary=frontier"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("harm") / "home", LMFT_MAX_FILE_BYTES="3000000") as running:
        yield running


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def stored(server: Server) -> set[str]:
    """All that lies in the data directory and beside it, but for contents under their hash and
    what the server writes for itself."""
    return {
        path.relative_to(server.home.parent).as_posix()
        for path in server.home.parent.rglob("*")
        if path.parent.name not in ("blobs", "device", "logs", "traffic")
        # The server's own: the database, and the worker's seat.
        and not path.name.startswith("lmft.db")
        and not path.is_relative_to(server.home / "jobs")
    }


def post(http: httpx.Client, content: bytes, name: str = "a.jsonl") -> httpx.Response:
    return http.post("/v1/files", files={"file": (name, content)}, data={"purpose": "fine-tune"})


def raw(http: httpx.Client, *lines: bytes, **headers: str) -> httpx.Response:
    return http.post("/v1/files", content=b"\r\n".join(lines), headers=TYPE | headers)


def code(response: httpx.Response) -> str:
    return str(response.json()["error"]["code"])


def disposition(name: str, filename: str | None = None) -> bytes:
    said = f'Content-Disposition: form-data; name="{name}"'
    return (said + (f'; filename="{filename}"' if filename is not None else "")).encode()


PURPOSE = (b"--frontier", disposition("purpose"), b"", b"fine-tune")


@pytest.mark.parametrize("name", HARMFUL_NAMES, ids=range(len(HARMFUL_NAMES)))
def test_a_harmful_name_is_shown_and_nothing_else(
    server: Server, http: httpx.Client, name: str
) -> None:
    post(http, b"first")
    before = stored(server)
    made = post(http, b"some text", name)
    assert made.status_code == 200, made.text
    shown = made.json()["filename"]
    assert 0 < len(shown) <= 255
    assert shown.isprintable()
    assert not {"/", "\\"} & set(shown)
    content = http.get(f"/v1/files/{made.json()['id']}/content")
    assert content.content == b"some text"
    assert "x-evil" not in content.headers
    assert stored(server) == before
    for place in (Path("/tmp/lmft-harm.txt"), Path("lmft-harm")):
        assert not place.exists()


@pytest.mark.parametrize("name", ["../x", "a\x00b", "x" * 5000, "\x1b[31m", "fdp.\u202etxt"])
def test_a_raw_name_in_a_forms_head_too(server: Server, http: httpx.Client, name: str) -> None:
    """Without the escapes that a client puts in."""
    before = stored(server)
    head = disposition("file", name)
    answer = raw(http, *PURPOSE, b"--frontier", head, b"", b"text", b"--frontier--", b"")
    assert answer.status_code == (200 if len(name) < 4000 else 400)
    if answer.status_code == 200:
        assert answer.json()["filename"].isprintable()
        assert "/" not in answer.json()["filename"]
    assert stored(server) == before


@pytest.mark.parametrize(
    "id",
    [
        "..%2f..%2flmft.db",
        "../../lmft.db",
        "%2e%2e%2flmft.db",
        "file-..%2f..%2f..%2flmft.db",
        "file-" + "0" * 23 + "%00",
        "file-" + "0" * 24,
        "x" * 10_000,
        "%F0%9F%90%89",
    ],
)
def test_an_id_is_never_a_path(server: Server, http: httpx.Client, id: str) -> None:
    for path in (f"/v1/files/{id}", f"/v1/files/{id}/content", f"/v1/lmft/files/{id}/content"):
        answer = http.get(path)
        assert answer.status_code == 404, path
        assert b"SQLite" not in answer.content
        assert str(server.home) not in answer.text
    assert http.delete(f"/v1/files/{id}").status_code == 404
    assert http.post(f"/v1/uploads/{id}/cancel").status_code == 404
    assert http.post(f"/v1/uploads/{id}/parts", files={"data": b"a"}).status_code == 404


def zipped(name: str, content: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return made.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        zipped("../../../../tmp/lmft-harm.txt", b"x"),
        zipped("bomb.txt", bytes(50_000_000)),
        gzip.compress(bytes(50_000_000)),
        b"\x80\x04\x95.",
        b"cos\nsystem\n(S'touch /tmp/lmft-harm.txt'\ntR.",
        b"PAR1" + bytes(100),
        b"\x7fELF" + bytes(100),
        b'{"text": "a"}\n' + zipped("a.txt", b"a"),
    ],
    ids=["zip", "bomb", "gzip", "pickle", "old pickle", "parquet", "program", "polyglot"],
)
def test_archives_and_pickles_are_refused_and_nothing_is_left(
    server: Server, http: httpx.Client, content: bytes
) -> None:
    before, contents = stored(server), len(list(server.home.glob("files/blobs/*")))
    for name in ("a.jsonl", "a.txt", "a.epub", "a.docx"):
        refused = post(http, content, name)
        assert refused.status_code == 415
        assert code(refused) == "unsupported_file"
    parts = http.post(
        "/v1/uploads",
        json={
            "bytes": len(content),
            "filename": "a.txt",
            "mime_type": "text/plain",
            "purpose": "fine-tune",
        },
    ).json()["id"]
    part = http.post(f"/v1/uploads/{parts}/parts", files={"data": content}).json()["id"]
    refused = http.post(f"/v1/uploads/{parts}/complete", json={"part_ids": [part]})
    assert code(refused) == "unsupported_file"
    assert http.post(f"/v1/uploads/{parts}/cancel").status_code == 200
    assert stored(server) == before
    assert len(list(server.home.glob("files/blobs/*"))) == contents
    assert not Path("/tmp/lmft-harm.txt").exists()


def test_an_encoded_body_is_not_unpacked(http: httpx.Client) -> None:
    body = gzip.compress(b"x" * 1_000_000)
    for encoding in ("gzip", "deflate", "br", "zstd", "identity, gzip"):
        answer = raw(http, body, **{"content-encoding": encoding})
        assert answer.status_code == 415
        assert code(answer) == "unsupported_encoding"
    coded = b"Content-Transfer-Encoding: base64"
    head = disposition("file", "a.txt")
    answer = raw(http, *PURPOSE, b"--frontier", head, coded, b"", b"YQ==", b"--frontier--", b"")
    assert code(answer) == "invalid_value"


def test_10_000_parts_are_refused_at_the_first_that_is_too_many(http: httpx.Client) -> None:
    one = (b"--frontier", disposition("purpose"), b"", b"fine-tune")
    assert code(raw(http, *(one * 10_000), b"--frontier--", b"")) == "invalid_value"
    other = [
        line for n in range(10_000) for line in (b"--frontier", disposition(f"field{n}"), b"", b"x")
    ]
    assert code(raw(http, *other, b"--frontier--", b"")) == "invalid_value"
    empty = (b"--frontier", b"", b"")
    assert code(raw(http, *(empty * 10_000), b"--frontier--", b"")) == "invalid_value"


def test_a_head_of_a_part_is_bounded(http: httpx.Client) -> None:
    file = disposition("file", "a.txt")
    for extra in (
        [b"X-Long: " + b"x" * 100_000],
        [b"X-%d: y" % n for n in range(1000)],
        [b"x" * 100_000 + b": y"],
    ):
        answer = raw(http, *PURPOSE, b"--frontier", file, *extra, b"", b"a", b"--frontier--", b"")
        assert code(answer) == "invalid_value"
        assert "cannot be read" in answer.text


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [b"--frontier--"],
        [b"no boundary at all"],
        [*PURPOSE],
        [*PURPOSE, b"--frontier", disposition("file", "a.txt"), b"", b"text that breaks off"],
        [b"--frontier", b"no colon", b"", b"x", b"--frontier--"],
        [b"--frontier\x00", disposition("file", "a.txt"), b"", b"x", b"--frontier--"],
        [b"--frontier", b"Content-Disposition: attachment", b"", b"x", b"--frontier--"],
    ],
    ids=range(8),
)
def test_a_broken_form_is_refused(server: Server, http: httpx.Client, lines: list[bytes]) -> None:
    before, contents = stored(server), len(list(server.home.glob("files/blobs/*")))
    assert raw(http, *lines).status_code == 400
    assert stored(server) == before
    assert len(list(server.home.glob("files/blobs/*"))) == contents


@pytest.mark.parametrize(
    "kind",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=" + "x" * 1000,
        "multipart/mixed; boundary=frontier",
        "text/plain",
        "",
    ],
)
def test_a_type_that_is_no_form_is_refused(http: httpx.Client, kind: str) -> None:
    answer = http.post("/v1/files", content=b"--frontier--", headers={"content-type": kind})
    assert answer.status_code == 400
    assert code(answer) == "invalid_value"


def test_what_comes_after_the_form_is_not_kept(http: httpx.Client) -> None:
    head = disposition("file", "a.txt")
    whole = (*PURPOSE, b"--frontier", head, b"", b"text", b"--frontier--", b"")
    answer = raw(http, *whole, b"--frontier", disposition("file", "b"), b"", b"x" * 100_000)
    assert answer.json()["bytes"] == 4


def test_the_text_of_a_file_may_look_like_the_end_of_the_form(http: httpx.Client) -> None:
    tricky = b"\r\n--frontie\r\n--frontierx\r\n-\r\n--\r\n\r\n--" * 100
    head = disposition("file", "a.txt")
    answer = raw(http, *PURPOSE, b"--frontier", head, b"", tricky, b"--frontier--", b"")
    made = answer.json()
    assert made["bytes"] == len(tricky)
    assert http.get(f"/v1/files/{made['id']}/content").content == tricky


def test_curl_can_do_it_too(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a;type=x.txt").write_bytes(b"hello")
    done = subprocess.run(
        [
            *("curl", "-sS", f"{server.url}/v1/files", "-F", "purpose=fine-tune"),
            *("-F", f'file=@"{tmp_path / "a;type=x.txt"}"'),
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "NO_PROXY": "*"},
    )
    assert '"bytes":5' in done.stdout, done.stdout + done.stderr
