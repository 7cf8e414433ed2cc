"""Keys of the store at the guard: from which moment they count, what each may do, and how a
guard that cannot know says no."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse

from lmft.store.database import Store, open_store
from lmft.store.keys import Keys, Limits
from lmft.store.tables import SCOPES
from serving.gateway.access import keyring
from serving.gateway.access.guard import Guard
from serving.gateway.access.keyring import Keyring

HERE = "http://127.0.0.1:8321"
SOCKET = "ws://127.0.0.1:8321/v1/realtime"
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
ALL = list(SCOPES)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path / "lmft.db")
    yield opened
    opened.close()


@pytest.fixture
def keys(store: Store) -> Keys:
    return Keys(store)


@pytest.fixture
def served(keys: Keys) -> Callable[..., TestClient]:
    async def who(request: Request) -> JSONResponse:
        caller = request.scope["state"]["caller"]
        return JSONResponse({"name": caller.name, "id": caller.key_id})

    async def socket(websocket) -> None:
        await websocket.accept()
        await websocket.send_text(websocket.scope["state"]["caller"].name)
        await websocket.close()

    app = Starlette(
        routes=[WebSocketRoute("/{path:path}", socket), Route("/{path:path}", who, methods=METHODS)]
    )

    def serve(*own: str | None) -> TestClient:
        return TestClient(Guard(app, Keyring(keys, *own), "127.0.0.1"), base_url=HERE)

    return serve


@pytest.fixture(autouse=True)
def no_time_passes(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Time stands still between what the tests let pass, so that nothing depends on a machine's
    speed."""
    now = [1000.0]

    class Clock:
        monotonic = staticmethod(lambda: now[0])

    monkeypatch.setattr(keyring, "time", Clock)

    def let_pass(seconds: float) -> None:
        now[0] += seconds

    return let_pass


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def basic(key: str, user: str = "lmft") -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{user}:{key}".encode()).decode()}


def name(client: TestClient, key: str, path: str = "/v1/completions") -> str | None:
    response = client.post(path, headers=bearer(key))
    return response.json()["name"] if response.status_code == 200 else None


# From when to when


def test_a_server_is_open_until_the_first_key_is_made(served, keys, no_time_passes):
    client = served()
    assert name(client, "none") == "anyone"
    _, secret = keys.create("app")
    no_time_passes(0.6)
    assert name(client, "none") is None
    assert client.post("/v1/completions").status_code == 401
    assert name(client, secret) == "app"


def test_revoking_the_last_key_does_not_open_the_server(served, keys, no_time_passes):
    client = served()
    _, secret = keys.create("app")
    keys.revoke("app")
    assert client.post("/v1/completions").status_code == 401
    assert name(client, secret) is None


def test_a_revoked_key_is_refused_within_a_second(served, keys, no_time_passes):
    client = served()
    _, secret = keys.create("app")
    _, other = keys.create("other")
    assert name(client, secret) == "app"
    keys.revoke("app")
    no_time_passes(0.6)
    assert name(client, secret) is None
    assert name(client, other) == "other"


def test_a_new_key_counts_at_once(served, keys, no_time_passes):
    client = served()
    keys.create("first")
    assert name(client, "guess") is None
    _, secret = keys.create("second")
    no_time_passes(0.06)
    assert name(client, secret) == "second"


def test_guessing_does_not_make_the_store_be_read_each_time(served, keys, monkeypatch):
    client = served()
    keys.create("app")
    assert name(client, "guess") is None
    asked = []
    monkeypatch.setattr(keys, "mark", lambda: asked.append(1))
    for number in range(50):
        assert name(client, f"guess {number}") is None
    assert asked == []


def test_the_environments_key_may_do_all_and_closes_the_server(served):
    client = served("secret")
    assert client.post("/v1/completions").status_code == 401
    for path in ("/v1/completions", "/v1/models/x", "/metrics"):
        assert name(client, "secret", path) == "LMFT_API_KEY"


def test_both_kinds_of_key_work_side_by_side(served, keys):
    client = served("secret")
    _, secret = keys.create("app")
    assert name(client, "secret") == "LMFT_API_KEY"
    assert name(client, secret) == "app"
    assert client.post("/v1/completions", headers=bearer(secret)).json()["id"] == "key-1"


def test_the_hash_is_not_the_key(served, keys):
    key, secret = keys.create("app")
    client = served()
    assert name(client, secret) == "app"
    assert name(client, key.sha256) is None


# Scopes


@pytest.mark.parametrize(
    ("scope", "method", "path"),
    [
        ("inference", "POST", "/v1/completions"),
        ("inference", "POST", "/v1/chat/completions"),
        ("inference", "POST", "/v1/lmft/play"),
        ("inference", "GET", "/v1/nowhere"),
        ("inference", "POST", "/v1/modelsx"),
        ("models:read", "GET", "/v1/models"),
        ("models:read", "GET", "/v1/models/ft:a:b:c"),
        ("models:write", "DELETE", "/v1/models/ft:a:b:c"),
        ("models:write", "PUT", "/v1/models"),
        ("models:write", "POST", "/v1/models/ft:a:b:c"),
        ("metrics", "GET", "/metrics"),
        ("metrics", "POST", "/metrics"),
        ("files", "POST", "/v1/files"),
        ("files", "GET", "/v1/files/file-a/content"),
        ("files", "POST", "/v1/uploads/upload_a/parts"),
        ("jobs", "POST", "/v1/fine_tuning/jobs"),
        ("jobs", "GET", "/v1/fine_tuning/jobs/ftjob-a/events"),
        ("jobs", "GET", "/v1/lmft/jobs/ftjob-a/stream"),
        ("jobs", "GET", "/v1/lmft/recipes"),
        ("stories", "POST", "/v1/lmft/stories"),
        ("stories", "DELETE", "/v1/lmft/presets/a"),
    ],
)
def test_each_route_needs_its_scope_and_no_other_will_do(served, keys, scope, method, path):
    _, only = keys.create("only", [scope])
    _, others = keys.create("others", [other for other in ALL if other != scope])
    client = served()
    assert client.request(method, path, headers=bearer(only)).status_code == 200
    refused = client.request(method, path, headers=bearer(others))
    assert refused.status_code == 403
    assert refused.json()["error"]["code"] == "insufficient_scope"
    assert scope in refused.json()["error"]["message"]


@pytest.mark.parametrize("scope", ALL)
def test_any_valid_key_may_read_the_description_of_the_api(served, keys, scope):
    _, secret = keys.create("app", [scope])
    client = served()
    assert client.get("/v1/openapi.json", headers=bearer(secret)).status_code == 200
    assert client.get("/v1/openapi.json").status_code == 401


def test_a_websocket_needs_key_and_scope(served, keys):
    _, right = keys.create("right")
    _, wrong = keys.create("wrong", ["metrics"])
    client = served()
    for headers, status in [({}, 401), (bearer("guess"), 401), (bearer(wrong), 403)]:
        with (
            pytest.raises(WebSocketDenialResponse) as caught,
            client.websocket_connect(SOCKET, headers=headers),
        ):
            pass
        assert caught.value.status_code == status
    with client.websocket_connect(SOCKET, headers=bearer(right)) as socket:
        assert socket.receive_text() == "right"


# The pages


@pytest.mark.parametrize("path", ["/", "/compare", "/gradio_api/call/x", "/config", "/login"])
def test_the_pages_ask_for_a_key_with_their_scope_as_a_browser_can_give_it(served, keys, path):
    _, pages = keys.create("pages", ["pages"])
    _, app = keys.create("app")
    client = served()
    refused = client.get(path)
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == 'Basic realm="lmft"'
    assert client.get(path, headers=bearer(pages)).status_code == 401
    assert client.get(path, headers=basic(app)).status_code == 403
    assert client.get(path, headers=basic(pages, "anybody")).json()["name"] == "pages"
    assert client.get(path, headers=basic("")).status_code == 401
    assert client.get(path, headers={"authorization": "Basic !"}).status_code == 401


def test_the_browsers_way_does_not_open_the_api(served, keys):
    _, secret = keys.create("app", ALL)
    assert served().post("/v1/completions", headers=basic(secret)).status_code == 401


def test_with_the_environments_key_the_pages_login_is_their_own(served, keys):
    keys.create("app")
    assert served("secret").get("/").status_code == 200


def test_the_pages_own_key_reaches_what_they_need_and_no_more(served, keys):
    keys.create("app")
    client = served(None, "of the pages")
    assert name(client, "of the pages") == "pages"
    assert client.get("/v1/models", headers=bearer("of the pages")).status_code == 200
    for path in ("/v1/files", "/v1/fine_tuning/jobs", "/v1/lmft/stories", "/v1/models/x"):
        assert client.delete(path, headers=bearer("of the pages")).status_code == 200
    assert client.get("/metrics", headers=bearer("of the pages")).status_code == 403


# When the store cannot be read


def test_a_store_that_cannot_be_read_lets_nobody_in_but_the_environments_key(
    served, keys, store, tmp_path, no_time_passes
):
    client, with_own = served(), served("secret")
    _, secret = keys.create("app")
    assert name(client, secret) == "app"
    store.close()
    sqlite3.connect(tmp_path / "lmft.db").execute("PRAGMA journal_mode = DELETE").close()
    (tmp_path / "lmft.db").write_bytes(b"something else " * 1000)
    no_time_passes(0.6)
    for headers in ({}, bearer(secret), bearer("guess")):
        response = client.post("/v1/completions", headers=headers)
        assert response.status_code == 503
        assert response.json()["error"]["code"] == "store_error"
        assert str(tmp_path) not in response.text
    assert name(with_own, "secret") == "LMFT_API_KEY"
    assert client.get("/healthz").status_code == 200


def test_limits_and_models_come_with_the_caller(keys):
    import asyncio

    limits = Limits(requests_per_minute=3)
    _, secret = keys.create("app", models=["ft:a:me:c"], limits=limits)
    caller = asyncio.run(Keyring(keys).find(secret.encode()))
    assert caller is not None
    assert (caller.limits, caller.models) == (limits, {"ft:a:me:c"})
