"""Without a valid key nothing but the health checks answers: every route, method and WebSocket of
the real server."""

from __future__ import annotations

import base64
import socket
import time
from pathlib import Path

import httpx
import pytest

from lmft.errors import UserError
from lmft.server import free_port, running_server
from lmft.store.database import open_store
from lmft.store.keys import Keys
from serving.gateway.access.access import require_key_beyond_loopback
from serving.gateway.access.keyring import LOOK_AGAIN_SECONDS
from tests.security.conftest import Keyed, wait_alive

pytestmark = pytest.mark.engine

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"]
BESIDES = [
    *("/v1", "/v1/", "/v1/nowhere", "/v1/embeddings", "/v1/lmft/nowhere", "/metrics"),
    *("/", "/compare", "/config", "/info", "/login", "/gradio_api/info", "/gradio_api/upload"),
    *("/gradio_api/queue/join", "/gradio_api/queue/data", "/static/x", "/theme.css", "/file=x"),
    *("/docs", "/openapi.json", "/tokenize", "/pause", "/healthz/x", "/readyz/"),
]


def paths(keyed: Keyed) -> list[str]:
    """What the OpenAPI document names, and what it does not."""
    with keyed.client(keyed.app) as client:
        document = client.get("/v1/openapi.json").json()
    named = [path.replace("{model}", "embedded") for path in document["paths"]]
    assert "/v1/chat/completions" in named
    return sorted({*named, *BESIDES} - {"/healthz", "/readyz"})


def assert_unknown(response: httpx.Response) -> None:
    where = f"{response.request.method} {response.request.url}"
    assert response.status_code == 401, where
    assert response.headers["www-authenticate"].split()[0] in ("Bearer", "Basic"), where
    if response.request.method != "HEAD":
        assert response.json() == {
            "error": {
                "message": "No or wrong API key: send `Authorization: Bearer KEY`.",
                "type": "invalid_request_error",
                "param": None,
                "code": "invalid_api_key",
            }
        }, where


@pytest.mark.parametrize("which", ["no", "wrong", "revoked"])
def test_every_route_and_method_needs_a_valid_key(keyed: Keyed, which: str) -> None:
    key = {"no": None, "wrong": "lmft-" + "x" * 43, "revoked": keyed.revoked}[which]
    everywhere = paths(keyed)
    assert len(everywhere) > 30
    with keyed.client(key) as client:
        for path in everywhere:
            for method in METHODS:
                assert_unknown(client.request(method, path))


def test_the_health_checks_need_none(keyed: Keyed) -> None:
    with keyed.client() as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").status_code in (200, 503)


def upgrade(keyed: Keyed, path: str, key: str | None) -> int:
    """The status that a WebSocket's opening is answered with."""
    head = [
        *(f"GET {path} HTTP/1.1", f"host: 127.0.0.1:{keyed.port}", "connection: upgrade"),
        *("upgrade: websocket", "sec-websocket-version: 13"),
        f"sec-websocket-key: {base64.b64encode(bytes(16)).decode()}",
        *([f"authorization: Bearer {key}"] if key else []),
    ]
    with socket.create_connection(("127.0.0.1", keyed.port), timeout=60) as connection:
        connection.sendall("\r\n".join([*head, "", ""]).encode())
        return int(connection.recv(4096).split(b" ")[1])


@pytest.mark.parametrize("path", ["/v1/realtime", "/v1/nowhere", "/", "/queue/join"])
def test_a_websocket_needs_a_valid_key(keyed: Keyed, path: str) -> None:
    for key in (None, "lmft-" + "x" * 43, keyed.revoked):
        assert upgrade(keyed, path, key) == 401
    assert upgrade(keyed, path, keyed.app) != 101


@pytest.mark.parametrize(
    "headers",
    [
        [("authorization", "Bearer {key}"), ("authorization", "Bearer {key}")],
        [("authorization", "Bearer {key}"), ("authorization", "Bearer wrong")],
        [("authorization", "Bearer wrong"), ("Authorization", "Bearer {key}")],
        [("authorization", "Bearer {key}, Bearer {key}")],
        [("authorization", "Bearer {key} x")],
        [("authorization", "Bearer\t{key}")],
        [("authorization", "{key}")],
        [("authorization", "Basic {key}")],
        [("x-api-key", "{key}")],
        [("proxy-authorization", "Bearer {key}")],
        [("cookie", "authorization=Bearer {key}; key={key}")],
    ],
    ids=str,
)
def test_a_key_twice_or_anywhere_else_is_no_key(
    keyed: Keyed, headers: list[tuple[str, str]]
) -> None:
    with keyed.client() as client:
        given = [(name, value.format(key=keyed.app)) for name, value in headers]
        assert_unknown(client.get("/v1/models", headers=given))
        assert_unknown(client.get(f"/v1/models?api_key={keyed.app}&key={keyed.app}"))


def test_a_valid_key_opens_what_its_scopes_say(keyed: Keyed) -> None:
    with keyed.client(keyed.app) as client:
        assert client.get("/v1/models").status_code == 200
        for method, path in [("DELETE", "/v1/models/embedded"), ("GET", "/metrics")]:
            refused = client.request(method, path)
            assert refused.status_code == 403
            assert refused.json()["error"]["code"] == "insufficient_scope"
    with keyed.client(keyed.metrics) as client:
        assert client.get("/metrics").status_code == 200
        assert client.get("/v1/models").status_code == 403
        assert client.post("/v1/chat/completions", json={}).status_code == 403


def test_a_key_that_is_limited_to_a_model_sees_no_other(keyed: Keyed) -> None:
    nowhere = "ft:embedded:me:nowhere"
    body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
    with keyed.client(keyed.elsewhere) as client:
        assert client.get("/v1/models").json()["data"] == []
        # In the same words as for a model that there never was.
        words = [
            [
                client.get(f"/v1/models/{model}").text.replace(model, "MODEL"),
                client.post("/v1/chat/completions", json={"model": model, **body}).text.replace(
                    model, "MODEL"
                ),
            ]
            for model in ("embedded", nowhere)
        ]
        assert words[0] == words[1]
        assert "model_not_found" in words[0][0]
    with keyed.client(keyed.app) as client:
        assert "embedded" in [model["id"] for model in client.get("/v1/models").json()["data"]]


def test_a_key_made_and_revoked_counts_in_the_running_server_within_a_second(
    keyed: Keyed,
) -> None:
    store = open_store(keyed.home / "lmft.db")
    _, key = Keys(store).create("short-lived")
    time.sleep(LOOK_AGAIN_SECONDS)
    with keyed.client(key) as client:
        assert client.get("/v1/models").status_code == 200
        Keys(store).revoke("short-lived")
        time.sleep(1)
        assert_unknown(client.get("/v1/models"))
    store.close()


def test_the_pages_open_to_a_browser_with_a_key_for_them(keyed: Keyed) -> None:
    with keyed.client() as client:
        assert "gradio" in client.get("/", auth=("anyone", keyed.pages)).text
        assert client.get("/config", auth=("anyone", keyed.pages)).status_code == 200
        assert client.get("/", auth=("anyone", keyed.app)).status_code == 403


def test_no_key_is_in_any_log(keyed: Keyed) -> None:
    with keyed.client(keyed.app) as client:
        client.get("/v1/models")
    written = [file for file in keyed.home.rglob("*") if file.is_file()]
    assert any(file.suffix == ".log" for file in written)
    for file in written:
        assert keyed.app.encode() not in file.read_bytes(), file


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])
def test_beyond_loopback_a_valid_key_is_needed_and_is_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("LMFT_HOME", str(tmp_path))
    with pytest.raises(UserError, match="without a key"):
        require_key_beyond_loopback(host)
    assert list(tmp_path.iterdir()) == []
    require_key_beyond_loopback("127.0.0.1")
    store = open_store()
    Keys(store).create("app")
    require_key_beyond_loopback(host)
    Keys(store).revoke("app")
    store.close()
    with pytest.raises(UserError, match="without a key"):
        require_key_beyond_loopback(host)
    monkeypatch.setenv("LMFT_API_KEY", "secret")
    require_key_beyond_loopback(host)


def test_a_command_gets_into_the_server_that_it_starts_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LMFT_HOME", str(tmp_path))
    monkeypatch.delenv("LMFT_API_KEY", raising=False)
    store = open_store()
    Keys(store).create("somebody")
    store.close()
    with running_server(free_port(), model=None, ui=False) as server:
        assert server.process is not None
        wait_alive(server.url, server.process)
        assert isinstance(server.models(), list)
        assert httpx.get(f"{server.url}/v1/models").status_code == 401
