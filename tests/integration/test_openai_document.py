"""The OpenAPI document and the server that wrote it, held against each other by schemathesis."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.conftest import Gateway
from tests.integration.bare_gateway import bare_gateway, uploaded

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
GENERATES = ("/v1/completions", "/v1/chat/completions", "/v1/lmft/play")
MAX_TOKENS = 4
# What needs no model, and is held to the document without one.
SERVICE = (
    "/v1/fine_tuning",
    "/v1/files",
    "/v1/uploads",
    "/v1/lmft/jobs",
    "/v1/lmft/recipes",
)


def steered(case: Case) -> Case:
    """As generated, but for a model that is there and a length that a test has time for."""
    body: Any = case.body
    if isinstance(body, dict) and isinstance(body.get("model"), str):
        body["model"] = "embedded"
        wanted = body.get("max_tokens", MAX_TOKENS)
        if case.path in GENERATES and type(wanted) is int:
            body["max_tokens"] = min(wanted, MAX_TOKENS)
    return case


def hold_to_its_document(
    url: str,
    n_examples: int,
    *,
    service: bool = False,
    steered: Callable[[Case], Case] = steered,
) -> set[str]:
    """Ask every operation what its schema allows, and as often what it does not allow.

    Args:
        service: those of files and jobs; else all others.
    """
    document = schemathesis.openapi.from_url(f"{url}/v1/openapi.json")
    seen = set()
    for found in document.get_all_operations():
        operation = found.ok()
        if operation.path.startswith(SERVICE) != service:
            continue
        seen.add(f"{operation.method.upper()} {operation.path}")
        # Without a body there is nothing that could be wrong.
        for mode in GenerationMode if operation.body else [GenerationMode.POSITIVE]:

            @given(case=operation.as_strategy(generation_mode=mode))
            @settings(
                max_examples=n_examples,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            )
            def ask(case: Case) -> None:
                steered(case).call_and_validate(checks=CHECKS)

            ask()
    return seen


@pytest.mark.engine
def test_whatever_is_asked_is_answered_as_the_openapi_document_says(gateway: Gateway) -> None:
    seen = hold_to_its_document(gateway.url, 8)
    assert {
        "GET /v1/models",
        "DELETE /v1/models/{model}",
        "POST /v1/completions",
        "POST /v1/chat/completions",
        "POST /v1/lmft/play",
        "POST /v1/lmft/tokenize",
    } <= seen


@pytest.mark.engine
@pytest.mark.long
def test_whatever_is_asked_for_long_is_answered_as_the_openapi_document_says(
    gateway: Gateway,
) -> None:
    hold_to_its_document(gateway.url, 200)


@pytest.mark.parametrize("n_examples", [8, pytest.param(200, marks=pytest.mark.long)])
def test_files_and_jobs_are_answered_as_the_openapi_document_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_examples: int
) -> None:
    monkeypatch.setenv("LMFT_HOME", str(tmp_path))
    with bare_gateway(tmp_path) as (url, store):
        file = uploaded(store)
        body = {"model": "embedded", "training_file": file}
        job = httpx.post(f"{url}/v1/fine_tuning/jobs", json=body).json()["id"]
        # Of one that has ended a stream ends too.
        httpx.post(f"{url}/v1/fine_tuning/jobs/{job}/cancel").raise_for_status()
        turns = 0

        def steered(case: Case) -> Case:
            """As often for what is there as for what is not."""
            nonlocal turns
            turns += 1
            if turns % 2:
                return case
            there = {"job": job, "file": file}
            for name in there.keys() & (case.path_parameters or {}).keys():
                case.path_parameters[name] = there[name]
            # Of one that is deleted the other questions would all be answered alike.
            if case.method == "DELETE" and "file" in (case.path_parameters or {}):
                case.path_parameters["file"] = uploaded(store)
            if case.path == "/v1/fine_tuning/jobs" and isinstance(case.body, dict):
                case.body |= body
            return case

        seen = hold_to_its_document(url, n_examples, service=True, steered=steered)
    assert {
        "POST /v1/fine_tuning/jobs",
        "GET /v1/fine_tuning/jobs",
        "POST /v1/fine_tuning/jobs/{job}/pause",
        "GET /v1/fine_tuning/jobs/{job}/events",
        "GET /v1/lmft/jobs/{job}/stream",
        "GET /v1/lmft/recipes",
        "POST /v1/files",
        "POST /v1/uploads",
    } <= seen
