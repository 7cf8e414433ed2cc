"""No answer says anything of this machine: no path, no address, no traceback, no internal name.
Every kind of error that can be provoked from outside."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.conftest import Gateway

pytestmark = pytest.mark.engine

REVEALING = re.compile(
    r"(?<![\w.:<])/(?:tmp|home|root|usr|work|opt|var|etc|proc|dev)\b"
    r"|\b0x[0-9a-f]{6,}|Traceback|File \"|\.py\b|line \d+, in|site-packages"
    r"|\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b|\bvllm\.|VLLM_|uvicorn\.|starlette|pydantic"
    r"|lora_path|lora_name|engine\.sock|lmft-engine-|nf4-float|sqlite|SELECT ",
    re.IGNORECASE,
)

CHAT = {"messages": [{"role": "user", "content": "Who is there?"}], "max_tokens": 1}
TEXT = {"prompt": "You stand", "max_tokens": 1}


@pytest.fixture
def http(gateway: Gateway) -> Iterator[httpx.Client]:
    with gateway.client() as client:
        yield client


def assert_says_nothing(response: httpx.Response, sent: str = "") -> None:
    """What the request itself said may come back."""
    told = response.text + "\n".join(f"{k}: {v}" for k, v in response.headers.items())
    found = [match for match in REVEALING.findall(told) if match not in sent]
    assert not found, f"{response.status_code}: {told[:600]}"


def bodies(model: str) -> list[tuple[str, Any]]:
    """Requests that cannot be answered."""
    wrong: list[dict[str, Any]] = [
        {},
        {"model": 1},
        {"model": "nobody", **TEXT},
        {"model": "x" * 301, **TEXT},
        {"model": "/etc/passwd", **TEXT},
        {"model": model},
        {"model": model, "prompt": None},
        {"model": model, "prompt": []},
        {"model": model, "prompt": [[]]},
        {"model": model, "prompt": [2**40]},
        {"model": model, "prompt": [-1]},
        {"model": model, "prompt": "x " * 20_000},
        {"model": model, "prompt": "x", "max_tokens": 10**9},
        {"model": model, "prompt": "x", "max_tokens": 0},
        {"model": model, "prompt": "x", "temperature": "hot"},
        {"model": model, "prompt": "x", "n": 5},
        {"model": model, "prompt": "x", "best_of": 2},
        {"model": model, "prompt": "x", "suffix": "y"},
        {"model": model, "prompt": "x", "stop": [""]},
        {"model": model, "prompt": "x", "stop": ["a"] * 99},
        {"model": model, "prompt": "x", "logit_bias": {"x": 1}},
        {"model": model, "prompt": "x", "logit_bias": {str(2**40): 1}},
        {"model": model, "prompt": "x", "logit_bias": {"-1": 1}},
        {"model": model, "prompt": "x", "logprobs": 99},
        {"model": model, "prompt": "x", "seed": 2**70},
        {"model": model, "prompt": "\ud800"},
        {"model": model, "messages": []},
        {"model": model, "messages": [{"role": "nobody", "content": "x"}]},
        {"model": model, "messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
        {"model": model, **CHAT, "response_format": {"type": "json_schema"}},
        {
            "model": model,
            **CHAT,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "x", "schema": {"$ref": "file:///etc/passwd"}},
            },
        },
        {
            "model": model,
            **CHAT,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "x", "schema": {"type": "string", "pattern": "("}},
            },
        },
        {"model": model, **CHAT, "tools": [{"type": "function"}]},
        {"model": model, "turns": []},
        {"model": model, "turns": [{"by": "player", "text": ""}]},
        {"model": model, "tokens": [2**40]},
    ]
    paths = ("/v1/completions", "/v1/chat/completions", "/v1/lmft/play", "/v1/lmft/tokenize")
    return [(path, body) for body in wrong for path in paths]


def test_no_refusal_of_a_body_does(http: httpx.Client, gateway: Gateway) -> None:
    seen = set()
    for path, body in bodies(gateway.adapter_id):
        # As ASCII, since half a surrogate pair can be sent in no other way.
        headers = {"content-type": "application/json"}
        response = http.post(path, content=json.dumps(body), headers=headers)
        assert_says_nothing(response, str(body))
        assert response.status_code < 500, f"{path} {body}: {response.text[:300]}"
        seen.add(response.status_code)
    assert {400, 404, 422} <= seen


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\x00",
        b"\xff\xfe",
        b'{"model": "embedded", "prompt": "x", "temperature": NaN}',
        b'{"model": "embedded", "prompt": "x", "max_tokens": 1e400}',
        b"[" * 100_000,
        b'{"model": "embedded", "model": "nobody", "prompt": "x"}',
        b'{"a":' * 50_000,
        b"9" * 100_000,
    ],
    ids=range(12),
)
def test_no_refusal_of_what_is_no_request_does(http: httpx.Client, content: bytes) -> None:
    for kind in ("application/json", "text/plain", "multipart/form-data", "application/x-pickle"):
        response = http.post("/v1/completions", content=content, headers={"content-type": kind})
        assert_says_nothing(response, content[:200].decode(errors="replace"))
        assert response.status_code in (400, 404, 415, 422), response.text[:300]


@pytest.mark.parametrize(
    "path",
    [
        *("/v1/models/nobody", "/v1/models/..%2f..%2fetc%2fpasswd", "/v1/models/%00", "/v1/%ff%fe"),
        *("/v1/models/ft:embedded:me:x:00000000", "/v1/nowhere", "/v1/lmft/nowhere", "/v1/files"),
        *("/v1/embeddings", "/v1/models/" + "x" * 5000, "/v1/models?limit=%00&after='--", "/v1//"),
        *("/nowhere", "/file=/etc/passwd", "/gradio_api/file=/etc/passwd", "/static/../x"),
        *("/gradio_api/file%3D/etc/passwd", "/v1/models/%25%32%65%25%32%65", "/assets/%00"),
    ],
)
def test_no_refusal_of_a_path_does(http: httpx.Client, path: str) -> None:
    for method in ("GET", "POST", "DELETE", "PUT", "OPTIONS"):
        response = http.request(method, path)
        if response.headers.get("content-type", "").startswith("text/html"):
            continue  # The pages, which are the same for every visitor.
        assert_says_nothing(response, path)
        assert response.status_code < 500, f"{method} {path}: {response.text[:300]}"


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"origin": "http://evil.example"},
        {"authorization": "Bearer " + "x" * 60_000},
        {"authorization": "Basic \xff"},
        {"content-type": "application/json; charset=\xff"},
        {"content-encoding": "gzip"},
        {"accept": "\x7f" * 1000},
        {"prefer": "wait=99999999999999999999"},
        {"x-request-id": "/etc/passwd\t0xdeadbeef00"},
        {"expect": "200-maybe"},
        {"range": "bytes=0-,0-,0-"},
        {"x-forwarded-for": "203.0.113.7", "x-forwarded-host": "evil.example"},
        {"cookie": "access-token=x;" * 1000},
    ],
    ids=str,
)
def test_no_answer_to_odd_headers_does(http: httpx.Client, headers: dict[str, str]) -> None:
    raw = {name: value.encode("latin-1") for name, value in headers.items()}
    for method, path in [("GET", "/v1/models"), ("POST", "/v1/completions"), ("GET", "/readyz")]:
        response = http.request(method, path, headers=raw, json={"model": "nobody", "prompt": "x"})
        assert_says_nothing(response)
        assert response.status_code < 500


def test_the_list_of_models_and_the_document_do_not(http: httpx.Client) -> None:
    for path in ("/v1/models", "/v1/openapi.json", "/healthz", "/readyz"):
        response = http.get(path)
        assert response.status_code == 200
        assert_says_nothing(response)
