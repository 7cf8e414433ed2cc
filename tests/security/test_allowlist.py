"""A field that the gateway does not name never reaches the engine: 422, and the engine is not
asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.conftest import Gateway

pytestmark = pytest.mark.engine

# Long, so that one of them would be seen among the single tokens by which the server looks
# whether its engine still lives.
LONG = "You stand before a door of black oak. " * 10
LONG_TOKENS = 80
CHAT = {"messages": [{"role": "user", "content": LONG}], "max_tokens": 1}
TEXT = {"prompt": LONG, "max_tokens": 1}
PLAY = {"turns": [{"by": "narrator", "text": LONG}], "max_tokens": 1}
BODIES = {"/v1/chat/completions": CHAT, "/v1/completions": TEXT, "/v1/lmft/play": PLAY}

# What vLLM would take from whoever reaches it, and what others were attacked through.
FIELDS: dict[str, Any] = {
    "chat_template": "{{ 7 * 7 }}",
    "chat_template_kwargs": {"x": 1},
    "prompt_embeds": "gASVAAAA",
    "image_url": "http://127.0.0.1:1/x.png",
    "multi_modal_data": {"image": "file:///etc/passwd"},
    "media_io_kwargs": {},
    "mm_processor_kwargs": {},
    "documents": [{"title": "x"}],
    "lora_path": "/etc",
    "lora_name": "x",
    "lora_request": {"lora_path": "/etc"},
    "adapter_path": "../../etc",
    "model_path": "/etc",
    "path": "/etc/passwd",
    "tokenizer": "/etc",
    "trust_remote_code": True,
    "logits_processors": ["os.system"],
    "vllm_xargs": {"x": 1},
    "kv_transfer_params": {"remote_host": "127.0.0.1"},
    "extra_args": {},
    "request_id": "x",
    "priority": 1,
    "cache_salt": "x",
    "prompt_logprobs": 10,
    "return_token_ids": True,
    "add_special_tokens": True,
    "structural_tag": "x",
    "guided_regex": "(a+)+b",
    "guided_grammar": "root ::= x",
    "structured_outputs": {"regex": "(a+)+b"},
    "webhook_url": "http://127.0.0.1:1/",
    "__class__": "x",
}
PARTS = [
    {"type": "image_url", "image_url": {"url": "http://127.0.0.1:1/x.png"}},
    {"type": "image_url", "image_url": {"url": "file:///etc/passwd"}},
    {"type": "image_embeds", "image_embeds": "gASVAAAA"},
    {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}},
    {"type": "audio_url", "audio_url": {"url": "file:///etc/passwd"}},
    {"type": "video_url", "video_url": {"url": "http://127.0.0.1:1/x"}},
    {"type": "file", "file": {"file_id": "/etc/passwd"}},
    {"type": "text", "text": "x", "image_url": {"url": "x"}},
]


@pytest.fixture(scope="module")
def asked(gateway: Gateway) -> Callable[[], float]:
    """The tokens of all prompts that the engines were given, by their own count."""
    server = psutil.Process(gateway.process.pid)
    engines = [
        Path(argument.removeprefix("--uds="))
        for process in server.children(recursive=True)
        for argument in process.cmdline()
        if argument.startswith("--uds=")
    ]

    def count() -> float:
        total = 0.0
        for engine in engines:
            transport = httpx.HTTPTransport(uds=str(engine))
            with httpx.Client(transport=transport, base_url="http://engine", timeout=60) as client:
                lines = client.get("/metrics").text.splitlines()
            counts = [line for line in lines if line.startswith("vllm:prompt_tokens_total")]
            assert counts
            total += sum(float(line.rpartition(" ")[2]) for line in counts)
        return total

    return count


@pytest.fixture(scope="module")
def http(gateway: Gateway) -> Iterator[httpx.Client]:
    with gateway.client() as client:
        yield client


def refused(
    http: httpx.Client, gateway: Gateway, path: str, body: dict[str, Any]
) -> httpx.Response:
    response = http.post(path, json={"model": gateway.adapter_id, **body})
    assert response.status_code == 422, f"{path} {body}: {response.text[:300]}"
    assert response.json()["error"]["type"] == "invalid_request_error"
    return response


def test_no_field_outside_the_allowlist_reaches_the_engine(
    http: httpx.Client, gateway: Gateway, asked: Callable[[], float]
) -> None:
    before = asked()
    for path, body in BODIES.items():
        for field, value in FIELDS.items():
            error = refused(http, gateway, path, {**body, field: value}).json()["error"]
            assert error["param"] == field
    assert asked() - before < LONG_TOKENS
    # The count would have shown it.
    answer = http.post("/v1/completions", json={"model": gateway.adapter_id, **TEXT})
    assert answer.status_code == 200
    assert asked() - before >= LONG_TOKENS


def test_no_picture_sound_or_file_reaches_the_engine(
    http: httpx.Client, gateway: Gateway, asked: Callable[[], float]
) -> None:
    before = asked()
    for part in PARTS:
        messages = [{"role": "user", "content": [{"type": "text", "text": LONG}, part]}]
        refused(http, gateway, "/v1/chat/completions", {"messages": messages})
    assert asked() - before < LONG_TOKENS


@pytest.mark.parametrize(
    "model",
    [
        *("/etc/passwd", "../adapters/x", "file:///etc", "http://127.0.0.1:1/x", "gpt2"),
        *("ft:embedded:me:adventure:../../x", "ft:embedded:me:..:00000000", "embedded\0", "~"),
        *("embedded/../x", "ft:embedded:me:adventure:ffffffff", "%2e%2e%2f", "vllm", " embedded"),
    ],
)
def test_no_name_of_a_model_becomes_a_path_or_another_model(
    http: httpx.Client, asked: Callable[[], float], model: str
) -> None:
    before = asked()
    for path, body in BODIES.items():
        response = http.post(path, json={"model": model, **body})
        assert response.status_code == 404, response.text
        assert response.json()["error"]["code"] == "model_not_found"
    assert asked() - before < LONG_TOKENS
