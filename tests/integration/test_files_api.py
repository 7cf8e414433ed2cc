"""Files and uploads as OpenAI's own client sees them, on the real server."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest
from openai import OpenAI

from lmft.files.file import RESULTS, NewFile
from lmft.files.files import Files
from lmft.store.database import open_store
from lmft.store.keys import Keys
from lmft.store.projects import Projects
from tests.engineless import Server, served

TALE = b'{"text": "Once upon a time there was a door."}\n'
ME = 1


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("files"), LMFT_MAX_FILE_BYTES="3000000") as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[OpenAI]:
    with server.openai() as client:
        yield client


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def error(response: httpx.Response, status: int, code: str) -> str:
    assert response.status_code == status, response.text
    said = response.json()["error"]
    assert said["code"] == code
    return str(said["message"])


def post(http: httpx.Client, content: bytes, name: str = "a.txt", **more: str) -> httpx.Response:
    return http.post("/v1/files", files={"file": (name, content)}, data={"purpose": "evals"} | more)


def test_the_clients_files(client: OpenAI) -> None:
    file = client.files.create(
        file=("règne 🐉.jsonl", TALE),
        purpose="fine-tune",
        expires_after={"anchor": "created_at", "seconds": 3600},
    )
    assert file.object == "file"
    assert file.filename == "règne 🐉.jsonl"
    assert (file.bytes, file.purpose, file.status) == (len(TALE), "fine-tune", "processed")
    assert file.expires_at == file.created_at + 3600
    assert client.files.retrieve(file.id) == file
    content = client.files.content(file.id)
    assert content.read() == TALE
    assert content.response.headers["x-content-type-options"] == "nosniff"
    assert content.response.headers["content-disposition"].startswith("attachment;")
    assert client.files.wait_for_processing(file.id).id == file.id
    deleted = client.files.delete(file.id)
    assert (deleted.id, deleted.deleted) == (file.id, True)
    with pytest.raises(openai.NotFoundError) as gone:
        client.files.retrieve(file.id)
    assert gone.value.code == "file_not_found"


def test_the_clients_pages(client: OpenAI) -> None:
    made = [client.files.create(file=TALE, purpose="batch").id for _ in range(5)]
    assert [file.id for file in client.files.list(purpose="batch", limit=2)] == made[::-1]
    page = client.files.list(purpose="batch", limit=2, order="asc", after=made[0])
    assert [file.id for file in page.data] == made[1:3]
    assert page.has_more
    assert client.files.list(purpose="vision").data == []
    with pytest.raises(openai.NotFoundError):
        client.files.list(after="file-" + "0" * 24)
    with pytest.raises(openai.BadRequestError):
        client.files.list(limit=0)


def test_the_clients_upload_in_parts(client: OpenAI, tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_bytes(content := TALE * 30_000)
    upload = client.uploads.upload_file_chunked(
        file=tmp_path / "long.txt",
        mime_type="text/plain",
        purpose="fine-tune",
        part_size=1_000_000,
    )
    assert upload.status == "completed"
    assert upload.file is not None
    assert upload.file.filename == "long.txt"
    assert client.files.content(upload.file.id).read() == content


def test_the_clients_upload_step_by_step(client: OpenAI) -> None:
    upload = client.uploads.create(
        bytes=4, filename="a.txt", mime_type="text/plain", purpose="fine-tune"
    )
    assert upload.object == "upload"
    assert upload.status == "pending"
    assert upload.expires_at == upload.created_at + 3600
    second = client.uploads.parts.create(upload.id, data=b"le")
    first = client.uploads.parts.create(upload.id, data=b"ta")
    assert (first.object, first.upload_id) == ("upload.part", upload.id)
    with pytest.raises(openai.BadRequestError) as wrong:
        client.uploads.complete(upload.id, part_ids=[first.id, second.id], md5="0" * 32)
    assert "md5" in wrong.value.message
    done = client.uploads.complete(upload.id, part_ids=[first.id, second.id])
    assert done.file is not None
    assert client.files.content(done.file.id).read() == b"tale"
    with pytest.raises(openai.BadRequestError) as ended:
        client.uploads.cancel(upload.id)
    assert ended.value.code == "invalid_upload_state"
    other = client.uploads.create(bytes=4, filename="b", mime_type="text/plain", purpose="evals")
    assert client.uploads.cancel(other.id).status == "cancelled"
    with pytest.raises(openai.NotFoundError):
        client.uploads.cancel("upload_" + "0" * 24)


def test_results_are_base64_for_openais_clients_and_plain_for_ours(
    server: Server, client: OpenAI, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the worker writes them: longer than a piece, and of no length that 3 divides."""
    csv = b"step,train_loss\n" + b"1,0.5\n" * 200_000
    monkeypatch.setenv("LMFT_HOME", str(server.home))
    store = open_store()
    made = Files(store).create(io.BytesIO(csv), NewFile(ME, RESULTS, "results.csv"))
    store.close()
    assert base64.b64decode(client.files.content(made.id).read(), validate=True) == csv
    assert http.get(f"/v1/lmft/files/{made.id}/content").content == csv
    assert client.files.list(purpose=RESULTS).data[0].bytes == len(csv)


def test_one_idempotency_key_is_one_file_and_one_upload(client: OpenAI, http: httpx.Client) -> None:
    key = {"Idempotency-Key": "a-click"}
    twice = [
        client.files.create(file=("a.txt", TALE), purpose="evals", extra_headers=key)
        for _ in range(2)
    ]
    assert twice[0] == twice[1]
    with pytest.raises(openai.BadRequestError) as reused:
        client.files.create(file=("b.txt", TALE), purpose="evals", extra_headers=key)
    assert reused.value.code == "idempotency_key_reused"
    body = {"bytes": 4, "filename": "a", "mime_type": "text/plain", "purpose": "evals"}
    key = {"Idempotency-Key": "another"}
    first, second = (http.post("/v1/uploads", json=body, headers=key).json() for _ in range(2))
    assert first == second
    again = http.post("/v1/uploads", json=body | {"bytes": 5}, headers=key)
    error(again, 400, "idempotency_key_reused")


def test_what_a_form_may_not_say(http: httpx.Client) -> None:
    assert "purpose" in error(
        http.post("/v1/files", files={"file": ("a.txt", b"a")}), 400, "missing_required_parameter"
    )
    assert "file" in error(
        http.post("/v1/files", files={"purpose": (None, "evals")}),
        400,
        "missing_required_parameter",
    )
    assert "form" in error(http.post("/v1/files", json={"a": 1}), 400, "invalid_value")
    error(post(http, b"a", model="x"), 400, "invalid_value")
    error(post(http, b"a", purpose="fine-tune-results"), 400, "invalid_input")
    error(post(http, b"", "empty.jsonl"), 400, "empty_file")
    error(post(http, b"a", purpose="x" * 2000), 400, "invalid_value")
    for wrong in (
        {"expires_after[anchor]": "created_at"},
        {"expires_after[seconds]": "3600"},
        {"expires_after[anchor]": "last_used", "expires_after[seconds]": "3600"},
        {"expires_after[anchor]": "created_at", "expires_after[seconds]": "1e3"},
        {"expires_after[anchor]": "created_at", "expires_after[seconds]": "9" * 30},
    ):
        error(post(http, b"a", **wrong), 400, "invalid_value")
    soon = {"expires_after[anchor]": "created_at", "expires_after[seconds]": "1"}
    assert "3600" in error(post(http, b"a", **soon), 400, "invalid_input")
    twice = [("file", ("a.txt", b"a")), ("file", ("b.txt", b"b"))]
    assert "twice" in error(http.post("/v1/files", files=twice), 400, "invalid_value")
    error(
        http.post("/v1/files", files={"file": (None, "a.jsonl"), "purpose": (None, "evals")}),
        400,
        "invalid_value",
    )


def test_what_an_upload_may_not_say(http: httpx.Client) -> None:
    body = {"bytes": 4, "filename": "a", "mime_type": "text/plain", "purpose": "evals"}
    for change, status in (
        ({"bytes": 0}, 400),
        ({"bytes": 3_000_001}, 413),
        ({"purpose": "fine-tune-results"}, 400),
        ({"path": "/etc/passwd"}, 422),
        ({"mime_type": "text\x00"}, 400),
        ({"filename": ""}, 400),
        ({"expires_after": {"anchor": "created_at", "seconds": 1}}, 400),
    ):
        assert http.post("/v1/uploads", json=body | change).status_code == status, change
    upload = http.post("/v1/uploads", json=body).json()["id"]
    for wrong in ({}, {"part_ids": []}, {"part_ids": ["x"]}, {"part_ids": ["x"], "md5": "?"}):
        assert http.post(f"/v1/uploads/{upload}/complete", json=wrong).status_code == 400
    nowhere = f"/v1/uploads/upload_{'0' * 24}/parts"
    error(http.post(nowhere, files={"data": b"a"}), 404, "upload_not_found")
    named = http.post(f"/v1/uploads/{upload}/parts", files={"file": b"a"})
    error(named, 400, "invalid_value")


def test_a_content_that_somebody_took_away_is_not_asked_for_again_and_again(
    server: Server, http: httpx.Client
) -> None:
    file = post(http, b"taken away").json()["id"]
    (server.home / "files" / "blobs" / hashlib.sha256(b"taken away").hexdigest()).unlink()
    said = error(http.get(f"/v1/files/{file}/content"), 404, "file_content_lost")
    assert "Upload it again" in said
    assert post(http, b"taken away").status_code == 200
    assert http.get(f"/v1/files/{file}/content").content == b"taken away"


def test_another_projects_file_is_not_there(tmp_path: Path) -> None:
    store = open_store(tmp_path / "lmft.db")
    Projects(store).create("shop")
    scopes = ["files"]
    mine, theirs = (Keys(store).create(name, scopes, project=name)[1] for name in ("me", "shop"))
    unable = Keys(store).create("chat", ["inference"])[1]
    store.close()
    with served(tmp_path) as server, server.openai(mine) as me, server.openai(theirs) as shop:
        file = me.files.create(file=("a.txt", TALE), purpose="evals")
        same = shop.files.create(file=("a.txt", TALE), purpose="evals")
        upload = me.uploads.create(
            bytes=1, filename="a", mime_type="text/plain", purpose="evals"
        ).id
        for asked in (
            lambda: shop.files.retrieve(file.id),
            lambda: shop.files.content(file.id),
            lambda: shop.files.delete(file.id),
            lambda: shop.files.list(after=file.id),
            lambda: shop.uploads.parts.create(upload, data=b"a"),
            lambda: shop.uploads.complete(upload, part_ids=["a"]),
            lambda: shop.uploads.cancel(upload),
        ):
            with pytest.raises(openai.NotFoundError):
                asked()
        assert [one.id for one in shop.files.list()] == [same.id]
        me.files.delete(file.id)
        assert shop.files.content(same.id).read() == TALE
        with server.client(unable) as http:
            error(http.get("/v1/files"), 403, "insufficient_scope")
            error(http.get(f"/v1/lmft/files/{same.id}/content"), 403, "insufficient_scope")


def test_the_document_says_what_is_answered(http: httpx.Client) -> None:
    """The forms, which FastAPI does not see, are described too."""
    paths = http.get("/v1/openapi.json").json()["paths"]
    form = paths["/v1/files"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert set(form["required"]) == {"file", "purpose"}
    assert "415" in paths["/v1/files"]["post"]["responses"]
    data = paths["/v1/uploads/{upload_id}/parts"]["post"]["requestBody"]["content"]
    assert json.dumps(data).count('"binary"') == 1
