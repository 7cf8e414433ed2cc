"""Engines that are killed, end by themselves or hang, each with all it had loaded brought back."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import httpx
import pytest

from tests.conftest import START_SECONDS
from tests.fault.conftest import Stage
from tests.integration.test_engine_life import eventually, family

pytestmark = pytest.mark.engine


def processes(stage: Stage, word: str) -> list[int]:
    """Of this server's engines, those whose command line holds `word`."""
    found = []
    for pid in family(stage.process.pid) - {stage.process.pid}:
        try:
            if word in Path(f"/proc/{pid}/cmdline").read_text():
                found.append(pid)
        except OSError:
            continue
    return found


def api_server(stage: Stage) -> int:
    return processes(stage, "serving.engine.child")[0]


def engine_core(stage: Stage) -> int:
    return processes(stage, "EngineCore")[0]


def code(answer: httpx.Response) -> str | None:
    """The error's; every refusal meanwhile is a 503 that says when to come back."""
    if answer.status_code == 200:
        return None
    assert answer.status_code == 503, answer.text
    assert answer.headers["retry-after"]
    return str(answer.json()["error"]["code"])


def back_with_everything(stage: Stage, loaded: list[str]) -> None:
    """A refusal that says when to ask again, then all that was live, live again."""
    eventually(lambda: code(stage.ask("embedded")) == "engine_starting", "the loss to be noticed")
    refused = stage.ask(stage.good)
    assert refused.status_code == 503
    assert code(refused) == "engine_starting"
    assert int(refused.headers["retry-after"]) >= 1
    assert httpx.get(f"{stage.url}/readyz", timeout=60).status_code == 503
    # Who says so waits.
    assert stage.ask(stage.good, prefer=f"wait={START_SECONDS}").status_code == 200
    states = stage.listed()
    assert {states[model]["state"] for model in loaded} == {"live"}
    assert httpx.get(f"{stage.url}/readyz", timeout=60).status_code == 200


@pytest.fixture
def loaded(stage: Stage) -> list[str]:
    """Two adapters that are live now."""
    models = [str(stage.source.id), stage.good]
    for model in models:
        assert stage.ask(model, prefer="wait=600").status_code == 200
    return models


def test_a_killed_engine_ends_its_streams_with_an_error_and_comes_back(
    stage: Stage, loaded: list[str]
) -> None:
    body = {"model": stage.good, "prompt": "You open", "max_tokens": 450, "stream": True}
    body |= {"stop": []}
    with httpx.stream(
        "POST", f"{stage.url}/v1/completions", json=body, timeout=START_SECONDS
    ) as response:
        lines = (line for line in response.iter_lines() if line)
        assert "choices" in json.loads(next(lines).removeprefix("data: "))
        os.kill(engine_core(stage), signal.SIGKILL)
        rest = list(lines)
    error = json.loads(rest[-2].removeprefix("data: "))["error"]
    assert error["code"] == "engine_error"
    assert rest[-1] == "data: [DONE]"
    back_with_everything(stage, loaded)


def test_an_engine_that_hangs_with_its_health_green_is_replaced(
    stage: Stage, loaded: list[str]
) -> None:
    """The API server answers /health; the process that computes does not go on."""
    stopped = engine_core(stage)
    os.kill(stopped, signal.SIGSTOP)
    back_with_everything(stage, loaded)
    assert engine_core(stage) != stopped


@pytest.mark.long
def test_an_engine_that_hangs_altogether_is_replaced(stage: Stage, loaded: list[str]) -> None:
    for pid in (api_server(stage), engine_core(stage)):
        os.kill(pid, signal.SIGSTOP)
    back_with_everything(stage, loaded)


@pytest.mark.long
def test_an_engine_that_ends_with_exit_code_0_comes_back(stage: Stage, loaded: list[str]) -> None:
    os.kill(api_server(stage), signal.SIGTERM)
    back_with_everything(stage, loaded)
