"""What /readyz and the list of models say: how it stands, and nothing of the machine."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.types import Receive, Scope, Send

from lmft.format.contract import FormatContract
from serving.gateway.access.callers import ANYONE
from serving.gateway.routes import health, models
from serving.pool.served import Listed, Status

INSIDE = "It ended: connect to 10.0.0.7:8000 failed, see /home/me/engine.log"
SAID = "It ended: connect to (...) failed, see (...)"


def get(path: str, status: Status, *, lent: bool = False, detail: str = "") -> httpx.Response:
    contract = FormatContract(kind="base", eos="<|endoftext|>", context_length=256)
    listed = Listed("m", 0, "lmft", contract, "m", "base", "failed", None, "lora", detail=detail)
    pool = SimpleNamespace(status=status, lent=lent, listed=lambda: [listed])
    watch = SimpleNamespace(
        drain=SimpleNamespace(leaving=False),
        traffic=SimpleNamespace(summary=lambda _: {}),
    )
    app = FastAPI()
    app.state.gateway = SimpleNamespace(pool=pool, watch=watch)
    app.include_router(health.router)
    app.include_router(models.router)

    async def from_anyone(scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {})["caller"] = ANYONE
        await app(scope, receive, send)

    return TestClient(from_anyone).get(path)


def test_readiness_of_a_server_whose_device_trains_names_no_run() -> None:
    answer = get("/readyz", Status("starting", "my-novel is being trained"), lent=True)
    assert answer.status_code == 503
    assert answer.json()["phase"] == "a model is being trained"
    assert "novel" not in answer.text


def test_readiness_says_what_is_done_and_that_an_address_failed_but_not_which() -> None:
    assert get("/readyz", Status("ready", "ready")).json() == {
        "status": "ready",
        "phase": "ready",
        "detail": "",
    }
    answer = get("/readyz", Status("starting", "loading the weights"))
    assert answer.json()["phase"] == "loading the weights"
    answer = get("/readyz", Status("failed", "failed", INSIDE))
    assert answer.json() == {"status": "failed", "phase": "failed", "detail": SAID}


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/m"])
def test_a_models_detail_names_no_address(path: str) -> None:
    body: Any = get(path, Status("ready", "ready"), detail=INSIDE).json()
    entry = body["data"][0] if "data" in body else body
    assert entry["lmft"]["detail"] == SAID
