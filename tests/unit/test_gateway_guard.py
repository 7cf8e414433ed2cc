"""Who may speak to the gateway: every path, every method, WebSockets too."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse

from lmft.store.database import open_store
from lmft.store.keys import Keys
from serving.gateway.access.guard import Guard, is_loopback
from serving.gateway.access.keyring import Keyring

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


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., TestClient]]:
    """Makes clients of a server in whose store there never was a key."""
    store = open_store(tmp_path_factory.mktemp("guard") / "lmft.db")
    app = Starlette(
        routes=[
            WebSocketRoute("/{path:path}", echo),
            Route("/{path:path}", answer, methods=METHODS),
        ]
    )

    def make(api_key: str | None = None, host: str = "127.0.0.1") -> TestClient:
        return TestClient(Guard(app, Keyring(Keys(store), api_key), host), base_url=HERE)

    yield make
    store.close()


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def assert_refused(response, status: int, code: str) -> None:
    assert response.status_code == status
    if response.request.method != "HEAD":
        assert response.json()["error"]["code"] == code


# Key


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("path", API_PATHS)
def test_every_api_path_and_method_needs_the_key(client, path, method):
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
def test_a_wrong_key_or_one_in_another_place_is_refused(client, headers):
    assert_refused(client(KEY).get("/v1/models", headers=headers), 401, "invalid_api_key")


def test_a_key_in_the_address_is_refused(client):
    response = client(KEY).get("/v1/models", params={"api_key": KEY, "key": KEY})
    assert_refused(response, 401, "invalid_api_key")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer "])
def test_the_scheme_may_be_written_in_any_case(client, scheme):
    headers = {"authorization": f"{scheme} {KEY}"}
    assert client(KEY).get("/v1/models", headers=headers).text == "inside"


@pytest.mark.parametrize("path", ["/%76%31/models", "/v1%2Fmodels", "/%2e/../v1/models"])
def test_an_api_path_in_disguise_needs_the_key(client, path):
    assert_refused(client(KEY).get(path), 401, "invalid_api_key")


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/", "/v10", "/config"])
def test_health_and_pages_are_open(client, path):
    assert client(KEY).get(path).text == "inside"


def test_without_a_key_the_api_is_open_on_loopback(client):
    assert client().post("/v1/completions").text == "inside"


def test_a_refusal_says_what_to_send_and_not_what_the_key_is(client):
    body = client(KEY).get("/v1/models", headers=bearer("wrong")).json()["error"]
    assert "Authorization: Bearer" in body["message"]
    assert KEY not in str(body)
    assert body["type"] == "invalid_request_error"


def test_a_websocket_needs_the_key_too(client):
    guarded = client(KEY)
    with (
        pytest.raises(WebSocketDenialResponse) as caught,
        guarded.websocket_connect(SOCKET),
    ):
        pass
    assert caught.value.status_code == 401
    with guarded.websocket_connect(SOCKET, headers=bearer(KEY)) as socket:
        assert socket.receive_text() == "inside"


# Host


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.0.0.1:8321", "localhost", "LOCALHOST:1", "[::1]", "[::1]:8321"],
)
def test_on_loopback_its_names_are_believed(client, host):
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
def test_on_loopback_a_foreign_name_is_refused_everywhere(client, host, path):
    """A web page whose DNS name points here (DNS rebinding) sends its own name."""
    response = client().get(path, headers={"host": host.encode("latin-1")})
    assert_refused(response, 403, "forbidden_host")


def test_a_foreign_name_is_refused_before_the_key_is_looked_at(client):
    response = client(KEY).get("/v1/models", headers=bearer(KEY) | {"host": "evil.example"})
    assert_refused(response, 403, "forbidden_host")


@pytest.mark.parametrize("host", ["192.168.0.5:8321", "story.example"])
def test_beyond_loopback_any_name_is_believed_and_the_key_still_needed(client, host):
    guarded = client(KEY, host="0.0.0.0")
    assert guarded.get("/v1/models", headers=bearer(KEY) | {"host": host}).text == "inside"
    assert_refused(guarded.get("/v1/models", headers={"host": host}), 401, "invalid_api_key")


# Origin


@pytest.mark.parametrize("origin", ["http://127.0.0.1:8321", "https://127.0.0.1:8321"])
def test_our_own_page_may_ask(client, origin):
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
def test_a_foreign_page_may_not_ask_even_with_the_key(client, origin, method):
    headers = bearer(KEY) | {"origin": origin}
    for host in ("127.0.0.1", "0.0.0.0"):
        response = client(KEY, host=host).request(method, "/v1/models", headers=headers)
        assert_refused(response, 403, "forbidden_origin")


def test_a_foreign_page_may_open_no_websocket(client):
    with client().websocket_connect(SOCKET, headers={"origin": HERE}) as socket:
        assert socket.receive_text() == "inside"
    with (
        pytest.raises(WebSocketDenialResponse),
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
