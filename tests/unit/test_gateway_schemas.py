"""What a request may say: everything that is not named is refused, and said in OpenAI's shape."""

from __future__ import annotations

import json

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from lmft.errors import (
    AdapterCorruptError,
    EngineError,
    LmftError,
    NotFoundError,
    ProbeFailedError,
)
from serving.engine.client import UpstreamRefusal
from serving.gateway import errors
from serving.gateway.schemas import (
    MAX_PROMPTS,
    MAX_TURNS,
    ChatRequest,
    CompletionRequest,
    PlayRequest,
)

COMPLETION = {"model": "m", "prompt": "Once"}
CHAT = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
PLAY = {"model": "m", "turns": [{"by": "narrator", "text": "Once."}]}
BY_PATH = {"/completions": COMPLETION, "/chat": CHAT, "/play": PLAY}


@pytest.fixture(scope="module")
def client() -> TestClient:
    """The schemas and the error handlers, with nothing behind them."""
    app = FastAPI()
    errors.install(app)

    @app.post("/completions")
    async def _completions(body: CompletionRequest) -> dict:
        return body.model_dump()

    @app.post("/chat")
    async def _chat(body: ChatRequest) -> dict:
        return body.model_dump()

    @app.post("/play")
    async def _play(body: PlayRequest) -> dict:
        return body.model_dump()

    return TestClient(app, raise_server_exceptions=False)


def post_text(client: TestClient, path: str, text: str):
    """A body as it stands, for what no well-behaved client would send."""
    return client.post(path, content=text, headers={"content-type": "application/json"})


def refusal(response) -> dict:
    assert response.status_code == 422, response.text
    error = response.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error["code"] == "invalid_request"
    return error


@pytest.mark.parametrize("path", BY_PATH)
def test_the_least_that_can_be_asked_is_accepted(client, path):
    assert client.post(path, json=BY_PATH[path]).status_code == 200


@pytest.mark.parametrize("path", BY_PATH)
@pytest.mark.parametrize(
    "field",
    [
        "unknown",
        "chat_template",
        "chat_template_kwargs",
        "prompt_embeds",
        "lora_path",
        "lora_name",
        "lora_request",
        "path",
        "file",
        "adapter",
        "base",
        "tools",
        "tool_choice",
        "response_format",
        "guided_regex",
        "structured_outputs",
        "logits_processors",
        "mm_processor_kwargs",
        "vllm_xargs",
        "kv_transfer_params",
        "priority",
        "bad_words",
        "prompt_logprobs",
        "return_token_ids",
        "ignore_eos",
        "best_of",
        "__class__",
    ],
)
def test_a_field_that_is_not_named_reaches_nothing(client, path, field):
    error = refusal(client.post(path, json=BY_PATH[path] | {field: "x"}))
    assert error["message"] == f"`{field}` is not supported"
    assert error["param"] == field


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "file:///etc/passwd"}},
        {"type": "image_url", "image_url": {"url": "http://169.254.169.254/"}},
        {"type": "input_audio", "input_audio": {"data": ""}},
        {"type": "video_url", "video_url": {"url": "x"}},
        {"type": "image_embeds", "image_embeds": "x"},
        {"type": "text", "text": "Hi", "image_url": "x"},
        {"type": "text"},
    ],
)
def test_only_text_is_text(client, part):
    content = [{"type": "text", "text": "Look:"}, part]
    error = refusal(client.post("/chat", json=CHAT | {"messages": [message(content)]}))
    assert "messages.0.content" in error["message"]
    assert "[" not in error["param"]


def message(content, role: str = "user") -> dict:
    return {"role": role, "content": content}


def test_text_parts_are_one_text():
    parts = [{"type": "text", "text": "Any "}, {"type": "text", "text": "rooms?"}]
    request = ChatRequest.model_validate(CHAT | {"messages": [message(parts)]})
    assert request.messages[0].text == "Any rooms?"


@pytest.mark.parametrize(
    ("path", "changes", "param"),
    [
        ("/completions", {"model": ""}, "model"),
        ("/completions", {"model": "x" * 301}, "model"),
        ("/completions", {"model": None}, "model"),
        ("/completions", {"prompt": None}, "prompt"),
        ("/completions", {"prompt": []}, "prompt"),
        ("/completions", {"prompt": {"prompt_embeds": "x"}}, "prompt"),
        ("/completions", {"prompt": [-1]}, "prompt"),
        ("/completions", {"prompt": ["x"] * (MAX_PROMPTS + 1)}, "prompt"),
        ("/completions", {"max_tokens": 0}, "max_tokens"),
        ("/completions", {"temperature": -0.1}, "temperature"),
        ("/completions", {"temperature": 2.1}, "temperature"),
        ("/completions", {"top_p": 0}, "top_p"),
        ("/completions", {"repetition_penalty": 0}, "repetition_penalty"),
        ("/completions", {"seed": 2**63}, "seed"),
        ("/completions", {"n": 5}, "n"),
        ("/completions", {"n": 0}, "n"),
        ("/completions", {"logprobs": 6}, "logprobs"),
        ("/completions", {"presence_penalty": 3}, "presence_penalty"),
        ("/completions", {"stop": ["x"] * 9}, "stop"),
        ("/completions", {"stop": ""}, "stop"),
        ("/completions", {"stop": "x" * 101}, "stop"),
        ("/completions", {"logit_bias": {str(n): 1 for n in range(301)}}, "logit_bias"),
        ("/completions", {"stream_options": {"include": True}}, "stream_options.include"),
        ("/chat", {"messages": []}, "messages"),
        ("/chat", {"messages": [message("x", "tool")]}, "messages.0.role"),
        ("/chat", {"messages": [message("x") | {"tool_calls": []}]}, "messages.0.tool_calls"),
        ("/chat", {"messages": [message("x")] * (MAX_TURNS + 1)}, "messages"),
        ("/chat", {"max_completion_tokens": 0}, "max_completion_tokens"),
        ("/play", {"turns": []}, "turns"),
        ("/play", {"turns": [{"by": "narrator", "text": " "}]}, "turns"),
        ("/play", {"turns": [{"by": "model", "text": "x"}]}, "turns.0.by"),
        ("/play", {"turns": [{"by": "player", "text": "x", "mode": "sing"}]}, "turns.0.mode"),
        ("/play", {"turns": [{"by": "player", "text": "x", "path": "/"}]}, "turns.0.path"),
        ("/play", {"n": 2}, "n"),
        ("/play", {"stop": ["x"]}, "stop"),
        ("/play", {"stream": False}, "stream"),
    ],
)
def test_a_wrong_value_is_refused_at_its_place(client, path, changes, param):
    error = refusal(client.post(path, json=BY_PATH[path] | changes))
    assert error["param"] == param
    assert f"`{param}`" in error["message"]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/completions", "temperature"),
        ("/completions", "presence_penalty"),
        ("/chat", "top_p"),
        ("/play", "repetition_penalty"),
    ],
)
def test_numbers_that_json_does_not_have_are_refused(client, path, field, number):
    text = json.dumps(BY_PATH[path] | {field: 0}).replace(f'"{field}": 0', f'"{field}": {number}')
    assert refusal(post_text(client, path, text))["param"] == field


def test_a_bias_of_infinity_is_refused(client):
    text = json.dumps(COMPLETION)[:-1] + ', "logit_bias": {"5": Infinity}}'
    assert refusal(post_text(client, "/completions", text))["param"] == "logit_bias.5"


HALF = "half a \ud83d"


@pytest.mark.parametrize(
    ("path", "changes"),
    [
        ("/completions", {"prompt": HALF}),
        ("/completions", {"prompt": [HALF]}),
        ("/completions", {"model": HALF}),
        ("/completions", {"stop": HALF}),
        ("/completions", {HALF: 1}),
        ("/chat", {"messages": [{"role": "user", "content": HALF}]}),
        ("/chat", {"messages": [{"role": "user", "content": [{"type": "text", "text": HALF}]}]}),
        ("/play", {"turns": [{"by": "player", "text": HALF}]}),
    ],
)
def test_half_a_character_is_a_clients_mistake(client, path, changes):
    refusal(post_text(client, path, json.dumps(BY_PATH[path] | changes)))


@pytest.mark.parametrize("body", ["", "{", "null", "[]", '"x"'])
def test_a_body_that_is_no_request_is_refused(client, body):
    refusal(post_text(client, "/completions", body))


def test_a_body_of_brackets_without_end_is_refused(client):
    assert post_text(client, "/completions", "[" * 100_000).status_code == 400


# Errors


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (NotFoundError("No such model.", "List them."), 404, "model_not_found"),
        (errors.RequestError("Wrong."), 422, "invalid_request"),
        (errors.RequestError("Long.", code="context_length_exceeded"), 400, None),
        (EngineError("vLLM does not answer."), 503, "engine_error"),
        (ProbeFailedError("It differs."), 503, "probe_failed"),
        (AdapterCorruptError("Changed."), 503, "adapter_corrupt"),
        (LmftError("Odd."), 500, "lmft_error"),
        (UpstreamRefusal(400, "Bad field."), 400, "invalid_request"),
    ],
)
def test_each_error_has_its_status_and_code(error, status, code):
    found, body = errors.describe(error)
    assert found == status
    assert body["error"]["code"] == (code or "context_length_exceeded")
    assert str(error) == body["error"]["message"]


def test_while_the_engine_starts_a_client_is_told_when_to_come_back():
    starting = EngineError("Not ready.")
    starting.code = "engine_starting"
    response = errors.error_response(starting)
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) > 0
    assert "retry-after" not in errors.error_response(EngineError("Dead.")).headers


def test_an_unexpected_error_says_nothing_of_the_inside(caplog):
    status, body = errors.describe(RuntimeError("/secret/path at 0x7f00"))
    assert status == 500
    assert "secret" not in str(body)
    assert "/secret/path" in caplog.text


def test_an_error_inside_a_route_has_openais_shape():
    app = FastAPI()
    errors.install(app)

    @app.get("/broken")
    async def _broken() -> None:
        raise RuntimeError("/secret/path")

    broken = TestClient(app, raise_server_exceptions=False)
    response = broken.get("/broken")
    assert response.status_code == 500
    assert set(response.json()["error"]) == {"message", "type", "param", "code"}
    assert "secret" not in response.text
    for response, status in ((broken.get("/nowhere"), 404), (broken.post("/broken"), 405)):
        assert response.status_code == status
        assert response.json()["error"]["type"] == "invalid_request_error"
