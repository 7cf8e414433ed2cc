"""The OpenAPI document and the server that wrote it, held against each other by schemathesis."""

from __future__ import annotations

from typing import Any

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

pytestmark = pytest.mark.engine

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
GENERATES = ("/v1/completions", "/v1/chat/completions", "/v1/lmft/play")
MAX_TOKENS = 4


def steered(case: Case) -> Case:
    """As generated, but for a model that is there and a length that a test has time for."""
    body: Any = case.body
    if isinstance(body, dict) and isinstance(body.get("model"), str):
        body["model"] = "embedded"
        wanted = body.get("max_tokens", MAX_TOKENS)
        if case.path in GENERATES and type(wanted) is int:
            body["max_tokens"] = min(wanted, MAX_TOKENS)
    return case


def hold_to_its_document(url: str, n_examples: int) -> set[str]:
    """Ask every operation what its schema allows, and as often what it does not allow."""
    document = schemathesis.openapi.from_url(f"{url}/v1/openapi.json")
    seen = set()
    for found in document.get_all_operations():
        operation = found.ok()
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


@pytest.mark.long
def test_whatever_is_asked_for_long_is_answered_as_the_openapi_document_says(
    gateway: Gateway,
) -> None:
    hold_to_its_document(gateway.url, 200)
