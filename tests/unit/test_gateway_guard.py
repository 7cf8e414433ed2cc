"""Who may speak to the gateway: every path, every method, WebSockets too."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from serving.gateway.guard import Guard, is_loopback

KEY = "a-key-of-ours"
HERE = "http://127.0.0.1:8321"
SOCKET = "ws://127.0.0.1:8321/v1/socket"
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
API_PATHS = ["/v1", "/v1/", "/v1/models", "/v1/lmft/play", "/v1/nowhere", "/v1/openapi.json"]


async def answer(request):
    return PlainTextResponse("inside")


async def echo(websocket):
    await websocket.accept()
    await websocket.send_text("inside")
    await websocket.close()


def client(api_key: str | None = None, host: str = "127.0.0.1", url: str = HERE) -> TestClient:
    app = Starlette(
        routes=[
            WebSocketRoute("/{path:path}", echo),
            Route("/{path:path}", answer, methods=METHODS),
        ]
    )
    return TestClient(Guard(app, api_key, host), base_url=url)


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def assert_refused(response, status: int, code: str) -> None:
    assert response.status_code == status
    if response.request.method != "HEAD":
        assert response.json()["error"]["code"] == code


# Key


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("path", API_PATHS)
def test_every_api_path_and_method_needs_the_key(path, method):
    guarded = client(KEY)
    assert_refused(guarded.request(method, path), 401, "invalid_api_key")
    assert guarded.request(method, path, headers=bearer(KEY)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        bearer(""),
        bearer("wrong"),
        bearer(KEY[:-1]),
        bearer(KEY + "x"),
        bearer(KEY.upper()),
        {"authorization": KEY},
        {"authorization": f"Basic {KEY}"},
        {"authorization": f"Bearer{KEY}"},
        {"x-api-key": KEY},
        {"api-key": KEY},
        {"cookie": f"key={KEY}"},
    ],
    ids=str,
)
def test_a_wrong_key_or_one_in_another_place_is_refused(headers):
    assert_refused(client(KEY).get("/v1/models", headers=headers), 401, "invalid_api_key")


def test_a_key_in_the_address_is_refused():
    response = client(KEY).get("/v1/models", params={"api_key": KEY, "key": KEY})
    assert_refused(response, 401, "invalid_api_key")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer "])
def test_the_scheme_may_be_written_in_any_case(scheme):
    headers = {"authorization": f"{scheme} {KEY}"}
    assert client(KEY).get("/v1/models", headers=headers).text == "inside"


@pytest.mark.parametrize("path", ["/%76%31/models", "/v1%2Fmodels", "/%2e/../v1/models"])
def test_an_api_path_in_disguise_needs_the_key(path):
    assert_refused(client(KEY).get(path), 401, "invalid_api_key")


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/", "/v10", "/config"])
def test_health_and_pages_are_open(path):
    assert client(KEY).get(path).text == "inside"


def test_without_a_key_the_api_is_open_on_loopback():
    assert client().post("/v1/completions").text == "inside"


def test_a_refusal_says_what_to_send_and_not_what_the_key_is():
    body = client(KEY).get("/v1/models", headers=bearer("wrong")).json()["error"]
    assert "Authorization: Bearer" in body["message"]
    assert KEY not in str(body)
    assert body["type"] == "invalid_request_error"


def test_a_websocket_needs_the_key_too():
    guarded = client(KEY)
    with (
        pytest.raises(WebSocketDisconnect) as caught,
        guarded.websocket_connect(SOCKET),
    ):
        pass
    assert caught.value.code == 1008
    with guarded.websocket_connect(SOCKET, headers=bearer(KEY)) as socket:
        assert socket.receive_text() == "inside"


# Host


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.0.0.1:8321", "localhost", "LOCALHOST:1", "[::1]", "[::1]:8321"],
)
def test_on_loopback_its_names_are_believed(host):
    assert client().get("/v1/models", headers={"host": host}).text == "inside"


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "evil.example:8321",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "evil.example@127.0.0.1.evil",
        "0.0.0.0",
        "192.168.0.5",
        "[",
        "[::1",
        "[evil]",
        "\xe9vil",
    ],
)
@pytest.mark.parametrize("path", ["/v1/models", "/", "/healthz"])
def test_on_loopback_a_foreign_name_is_refused_everywhere(host, path):
    """A web page whose DNS name points here (DNS rebinding) sends its own name."""
    response = client().get(path, headers={"host": host.encode("latin-1")})
    assert_refused(response, 403, "forbidden_host")


def test_a_foreign_name_is_refused_before_the_key_is_looked_at():
    response = client(KEY).get("/v1/models", headers=bearer(KEY) | {"host": "evil.example"})
    assert_refused(response, 403, "forbidden_host")


@pytest.mark.parametrize("host", ["192.168.0.5:8321", "story.example"])
def test_beyond_loopback_any_name_is_believed_and_the_key_still_needed(host):
    guarded = client(KEY, host="0.0.0.0")
    assert guarded.get("/v1/models", headers=bearer(KEY) | {"host": host}).text == "inside"
    assert_refused(guarded.get("/v1/models", headers={"host": host}), 401, "invalid_api_key")


# Origin


@pytest.mark.parametrize("origin", ["http://127.0.0.1:8321", "https://127.0.0.1:8321"])
def test_our_own_page_may_ask(origin):
    assert client().post("/v1/lmft/play", headers={"origin": origin}).text == "inside"


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "http://127.0.0.1",
        "http://127.0.0.1:9999",
        "http://localhost:8321",
        "http://127.0.0.1:8321.evil.example",
        "http://127.0.0.1:8321@evil.example",
        "null",
        "http://[",
        "file://",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_a_foreign_page_may_not_ask_even_with_the_key(origin, method):
    headers = bearer(KEY) | {"origin": origin}
    for host in ("127.0.0.1", "0.0.0.0"):
        response = client(KEY, host=host).request(method, "/v1/models", headers=headers)
        assert_refused(response, 403, "forbidden_origin")


def test_a_foreign_page_may_open_no_websocket():
    with client().websocket_connect(SOCKET, headers={"origin": HERE}) as socket:
        assert socket.receive_text() == "inside"
    with (
        pytest.raises(WebSocketDisconnect),
        client().websocket_connect(SOCKET, headers={"origin": "http://evil.example"}),
    ):
        pass


# Loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_addresses_are_known(host):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.5", "example.com", "", "127.0.0.1.x"])
def test_anything_else_is_not_loopback(host):
    assert not is_loopback(host)
