"""The pages on a server: what they leave alone, and what they must not give away."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from ui.app import mount


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 60))


def app(api_key: str | None = None) -> FastAPI:
    app = FastAPI()

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.post("/v1/completions")
    async def completions() -> dict[str, str]:
        return {"object": "text_completion"}

    mount(app, "http://127.0.0.1:1", api_key)
    return app


@asynccontextmanager
async def visitor(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:1") as client:
        yield client


def test_earlier_routes_go_on_working() -> None:
    async def test() -> None:
        async with visitor(app()) as client:
            assert (await client.get("/healthz")).json() == {"status": "ok"}
            answer = await client.post("/v1/completions")
            assert answer.json() == {"object": "text_completion"}
            assert (await client.get("/v1/nonsense/at/all")).status_code == 404
            for path in ("/", "/compare"):
                page = await client.get(path)
                assert page.status_code == 200
                assert "text/html" in page.headers["content-type"]

    run(test())


def test_the_pages_are_no_api_and_keep_nothing() -> None:
    async def test() -> None:
        async with visitor(app()) as client:
            config = (await client.get("/config")).json()
            assert {event["api_visibility"] for event in config["dependencies"]} == {"private"}
            api = (await client.get("/gradio_api/info")).json()
            assert api == {"named_endpoints": {}, "unnamed_endpoints": {}}
            assert config["footer_links"] == []
            assert config["run_history"] is False
            assert config["analytics_enabled"] is False
            assert (await client.get("/gradio_api/file=/etc/passwd")).status_code == 403
            assert (await client.get("/gradio_api/mcp/sse")).status_code == 404

    run(test())


def test_only_what_answers_more_than_once_is_queued() -> None:
    """The queue may keep an answer back (ui/pages/wiring.py); without it only the first comes."""

    async def test() -> None:
        async with visitor(app()) as client:
            events = (await client.get("/config")).json()["dependencies"]
            answering = [
                event
                for event in events
                if event["backend_fn"] and event["targets"] != [[None, "unload"]]
            ]
            queued = {event["id"] for event in answering if event["queue"]}
            assert queued == {event["id"] for event in answering if event["types"]["generator"]}
            assert queued

    run(test())


def test_the_api_key_is_asked_for_and_not_given_away() -> None:
    async def test() -> None:
        async with visitor(app(api_key="open sesame")) as client:
            assert (await client.get("/config")).status_code == 401
            for path in ("/", "/compare"):
                page = await client.get(path)
                assert "auth_required" in page.text
                assert "open sesame" not in page.text
            wrong = {"username": "lmft", "password": "guess"}
            assert (await client.post("/login", data=wrong)).status_code == 400
            right = {"username": "lmft", "password": "open sesame"}
            assert (await client.post("/login", data=right)).status_code == 200
            config = await client.get("/config")
            assert config.status_code == 200
            assert "open sesame" not in config.text

    run(test())


def test_events_need_the_login_too() -> None:
    async def test() -> None:
        async with visitor(app(api_key="open sesame")) as client:
            body = {"data": [], "fn_index": 0, "session_hash": "x"}
            for path in ("/gradio_api/queue/join", "/gradio_api/run/predict"):
                assert (await client.post(path, json=body)).status_code == 401

    run(test())


@pytest.mark.parametrize("within_a_loop", [False, True])
def test_mounting_is_quiet(within_a_loop: bool) -> None:
    async def inside() -> None:
        app()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if within_a_loop:
            run(inside())
        else:
            app()


def test_the_servers_own_lifespan_is_kept() -> None:
    seen: list[str] = []

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, str]]:
        seen.append("start")
        yield {"kept": "state"}
        seen.append("stop")

    async def test() -> None:
        app = FastAPI(lifespan=lifespan)
        mount(app, "http://127.0.0.1:1", None)
        async with app.router.lifespan_context(app) as state:
            assert state == {"kept": "state"}

    run(test())
    assert seen == ["start", "stop"]
