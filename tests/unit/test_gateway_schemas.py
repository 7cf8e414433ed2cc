"""What a request may say: everything that is not named is refused, and said in OpenAI's shape."""

from __future__ import annotations

import json

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from lmft.errors import (
    AdapterCorruptError,
    EngineError,
    EngineWakingError,
    LmftError,
    NotFoundError,
    ProbeFailedError,
)
from serving.engine.refusals import UpstreamRefusal
from serving.gateway import errors
from serving.gateway.schemas import foreign
from serving.gateway.schemas.chat import MAX_TOOLS, ChatRequest
from serving.gateway.schemas.json_schema import MAX_CHARACTERS, MAX_DEPTH, MAX_ITEMS, MAX_PROPERTIES
from serving.gateway.schemas.requests import (
    MAX_ANSWERS,
    MAX_N,
    MAX_PROMPTS,
    MAX_STOPS,
    MAX_TURNS,
    CompletionRequest,
    PlayRequest,
)
from serving.gateway.schemas.tokens import DetokenizeRequest, TokenizeRequest
from tests.conftest import ROOT

COMPLETION = {"model": "m", "prompt": "Once"}
CHAT = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
PLAY = {"model": "m", "turns": [{"by": "narrator", "text": "Once."}]}
TOKENIZE = {"model": "m", "prompt": "Once"}
DETOKENIZE = {"model": "m", "tokens": [1]}
BY_PATH = {
    "/completions": COMPLETION,
    "/chat": CHAT,
    "/play": PLAY,
    "/tokenize": TOKENIZE,
    "/detokenize": DETOKENIZE,
}


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

    @app.post("/tokenize")
    async def _tokenize(body: TokenizeRequest) -> dict:
        return body.model_dump()

    @app.post("/detokenize")
    async def _detokenize(body: DetokenizeRequest) -> dict:
        return body.model_dump()

    return TestClient(app, raise_server_exceptions=False)


def post_text(client: TestClient, path: str, text: str):
    """A body as it stands, for what no well-behaved client would send."""
    return client.post(path, content=text, headers={"content-type": "application/json"})


def refusal(response, status: int = 400, code: str = "invalid_value") -> dict:
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error["code"] == code
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
        "guided_regex",
        "guided_json",
        "structured_outputs",
        "logits_processors",
        "mm_processor_kwargs",
        "vllm_xargs",
        "kv_transfer_params",
        "priority",
        "bad_words",
        "prompt_logprobs",
        "return_token_ids",
        "stop_token_ids",
        "truncate_prompt_tokens",
        "add_special_tokens",
        "cache_salt",
        "request_id",
        "documents",
        "__class__",
    ],
)
def test_a_field_that_is_not_named_reaches_nothing(client, path, field):
    error = refusal(client.post(path, json=BY_PATH[path] | {field: "x"}), 422, "unknown_parameter")
    assert error["message"] == f"`{field}` is not supported"
    assert error["param"] == field


@pytest.mark.parametrize(
    ("path", "field", "instead"),
    [
        ("/completions", "messages", "/v1/chat/completions"),
        ("/completions", "max_completion_tokens", "`max_tokens`"),
        ("/chat", "prompt", "/v1/completions"),
    ],
)
def test_a_field_of_the_other_route_is_sent_there(client, path, field, instead):
    error = refusal(client.post(path, json=BY_PATH[path] | {field: 1}), 422, "unknown_parameter")
    assert instead in error["message"]


def test_json_that_is_not_said_to_be_json_is_told_so(client):
    """What curl -d sends by itself."""
    body = b'{"prompt": "x"}'
    kind = {"content-type": "application/x-www-form-urlencoded"}
    error = refusal(client.post("/completions", content=body, headers=kind), 400, "invalid_value")
    assert "Content-Type: application/json" in error["message"]


def test_what_is_outside_the_allowlist_is_said_before_what_is_merely_wrong(client):
    body = COMPLETION | {"temperature": 9, "prompt_embeds": "x"}
    assert refusal(client.post("/completions", json=body), 422, "unknown_parameter")


@pytest.mark.parametrize("path", ["/completions", "/chat"])
@pytest.mark.parametrize(
    ("field", "idle", "busy", "instead"),
    [
        ("best_of", 1, 3, "`n`"),
        ("suffix", "", "The end.", "`prompt`"),
        ("typical_p", 1, 0.9, "top_p"),
        ("mirostat_mode", 0, 2, "top_p"),
        ("ignore_eos", False, True, "logit_bias"),
        ("functions", [], [{"name": "f"}], "`tools`"),
        ("audio", None, {"voice": "alloy"}, "text"),
        ("modalities", ["text"], ["text", "audio"], "text"),
    ],
)
def test_a_field_without_use_passes_at_rest_and_is_refused_with_what_to_use_instead(
    client, path, field, idle, busy, instead
):
    for value in (idle, None):
        assert client.post(path, json=BY_PATH[path] | {field: value}).status_code == 200
    error = refusal(
        client.post(path, json=BY_PATH[path] | {field: busy}), code="unsupported_parameter"
    )
    assert error["param"] == field
    assert instead in error["message"]


def test_the_best_of_as_many_as_are_asked_for_are_all_of_them(client):
    assert client.post("/completions", json=COMPLETION | {"n": 3, "best_of": 3}).status_code == 200


@pytest.mark.parametrize("path", ["/completions", "/chat"])
def test_fields_that_change_no_answer_are_accepted(client, path):
    fields = {
        "user": "me",
        "metadata": {"team": "a"},
        "store": False,
        "service_tier": "auto",
        "safety_identifier": "x",
        "prompt_cache_key": "x",
    }
    assert client.post(path, json=BY_PATH[path] | fields).status_code == 200


def test_null_stands_for_a_fields_default(client):
    nulls = dict.fromkeys(
        ("n", "stop", "stream", "stream_options", "presence_penalty", "logit_bias", "seed", "echo")
    )
    answer = client.post("/completions", json=COMPLETION | nulls)
    assert answer.status_code == 200
    assert answer.json()["n"] == 1
    assert client.post("/chat", json=CHAT | {"tools": None, "n": None}).status_code == 200


def test_null_does_not_make_an_unknown_field_known(client):
    refusal(client.post("/chat", json=CHAT | {"chat_template": None}), 422, "unknown_parameter")


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
    answer = client.post("/chat", json=CHAT | {"messages": [message(content)]})
    assert answer.status_code == (400 if part == {"type": "text"} else 422)
    error = answer.json()["error"]
    assert "messages.0.content" in error["message"]
    assert "[" not in error["param"]


def message(content, role: str = "user") -> dict:
    return {"role": role, "content": content}


def test_text_parts_are_one_text():
    parts = [{"type": "text", "text": "Any "}, {"type": "text", "text": "rooms?"}]
    request = ChatRequest.model_validate(CHAT | {"messages": [message(parts)]})
    assert request.messages[0].text == "Any rooms?"


SCHEMA = "response_format.json_schema.schema"
LOOP = {"$defs": {"a": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}


def json_schema(schema: dict) -> dict:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}


def nested(depth: int) -> dict:
    return {"items": nested(depth - 1)} if depth else {}


@pytest.mark.parametrize(
    ("path", "changes", "param"),
    [
        ("/completions", {"stream_options": {"include": True}}, "stream_options.include"),
        ("/chat", {"messages": [message("x") | {"path": "/"}]}, "messages.0.path"),
        ("/play", {"turns": [{"by": "player", "text": "x", "path": "/"}]}, "turns.0.path"),
        ("/play", {"n": 2}, "n"),
        ("/play", {"stop": ["x"]}, "stop"),
        ("/play", {"stream": False}, "stream"),
        ("/chat", {"response_format": {"type": "text", "x": 1}}, "response_format.x"),
    ],
)
def test_an_unknown_field_is_refused_wherever_it_stands(client, path, changes, param):
    answer = client.post(path, json=BY_PATH[path] | changes)
    assert refusal(answer, 422, "unknown_parameter")["param"] == param


@pytest.mark.parametrize("field", ["model", "prompt"])
def test_what_must_be_there_and_is_not_is_called_missing(client, field):
    for body in (
        {key: COMPLETION[key] for key in COMPLETION if key != field},
        {**COMPLETION, field: None},
    ):
        error = refusal(client.post("/completions", json=body), code="missing_required_parameter")
        assert error["param"] == field


def test_an_answers_own_message_can_be_sent_back(client):
    answered = {
        "role": "assistant",
        "content": "Hello.",
        "refusal": None,
        "annotations": [],
        "audio": None,
        "function_call": None,
        "tool_calls": None,
    }
    body = CHAT | {"messages": [message("Hi"), answered, message("Bye")]}
    assert client.post("/chat", json=body).status_code == 200


def test_a_schema_may_refer_to_itself_further_down(client):
    tree = {"$defs": {"n": {"type": "object", "properties": {"c": {"$ref": "#/$defs/n"}}}}}
    schema = json_schema(tree | {"$ref": "#/$defs/n"})
    assert client.post("/chat", json=CHAT | {"response_format": schema}).status_code == 200


@pytest.mark.parametrize(
    ("path", "changes", "param"),
    [
        ("/completions", {"model": ""}, "model"),
        ("/completions", {"model": "x" * 301}, "model"),
        ("/completions", {"prompt": []}, "prompt"),
        ("/completions", {"prompt": {"prompt_embeds": "x"}}, "prompt"),
        ("/completions", {"prompt": [-1]}, "prompt.0"),
        ("/completions", {"prompt": ["x"] * (MAX_PROMPTS + 1)}, "prompt"),
        ("/completions", {"max_tokens": 0}, "max_tokens"),
        ("/completions", {"temperature": -0.1}, "temperature"),
        ("/completions", {"temperature": 2.1}, "temperature"),
        ("/completions", {"top_p": 1.1}, "top_p"),
        ("/completions", {"prompt": ["x", 1]}, "prompt.1"),
        ("/completions", {"prompt": [[1], []]}, "prompt.1"),
        ("/completions", {"prompt": 5}, "prompt"),
        ("/completions", {"prompt": ["x"] * 33, "n": 2}, "n"),
        ("/completions", {"logit_bias": {"x": 1}}, "logit_bias.x"),
        ("/completions", {"logit_bias": {"1": 101}}, "logit_bias.1"),
        ("/completions", {"metadata": {"x": "y" * 513}}, "metadata.x"),
        ("/completions", {"repetition_penalty": 0}, "repetition_penalty"),
        ("/completions", {"seed": 2**63}, "seed"),
        ("/completions", {"n": 17}, "n"),
        ("/completions", {"n": 0}, "n"),
        ("/completions", {"logprobs": 21}, "logprobs"),
        ("/completions", {"presence_penalty": 3}, "presence_penalty"),
        ("/completions", {"stop": ["x"] * 17}, "stop"),
        ("/completions", {"stop": ""}, "stop"),
        ("/completions", {"stop": "x" * 101}, "stop"),
        ("/completions", {"logit_bias": {str(n): 1 for n in range(301)}}, "logit_bias"),
        ("/chat", {"messages": []}, "messages"),
        ("/chat", {"messages": [message("x", "narrator")]}, "messages.0.role"),
        ("/chat", {"messages": [message("x", "tool")]}, "messages.0"),
        ("/chat", {"messages": [message(None)]}, "messages.0"),
        ("/chat", {"top_logprobs": 3}, "top_logprobs"),
        ("/chat", {"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ("/chat", {"tool_choice": "required"}, "tool_choice"),
        ("/chat", {"response_format": {"type": "xml"}}, "response_format"),
        ("/chat", {"response_format": json_schema({"$ref": "#/$defs/no"})}, SCHEMA),
        ("/chat", {"response_format": json_schema({"$ref": "http://evil.example/x"})}, SCHEMA),
        ("/chat", {"response_format": json_schema({"$ref": "file:///etc/passwd"})}, SCHEMA),
        ("/chat", {"response_format": json_schema({"maximum": 1e300})}, SCHEMA),
        ("/chat", {"response_format": json_schema({"enum": ["x" * 20_000]})}, SCHEMA),
        ("/chat", {"response_format": json_schema(nested(40))}, SCHEMA),
        ("/chat", {"response_format": json_schema(LOOP)}, SCHEMA),
        ("/chat", {"response_format": json_schema({"maxItems": 1001})}, SCHEMA),
        ("/chat", {"response_format": json_schema({f"k{n}": {} for n in range(301)})}, SCHEMA),
        ("/tokenize", {"messages": CHAT["messages"]}, "prompt"),
        ("/detokenize", {"tokens": [-1]}, "tokens.0"),
        ("/chat", {"messages": [message("x")] * (MAX_TURNS + 1)}, "messages"),
        ("/chat", {"max_completion_tokens": 0}, "max_completion_tokens"),
        ("/play", {"turns": []}, "turns"),
        ("/play", {"turns": [{"by": "narrator", "text": " "}]}, "turns"),
        ("/play", {"turns": [{"by": "model", "text": "x"}]}, "turns.0.by"),
        ("/play", {"turns": [{"by": "player", "text": "x", "mode": "sing"}]}, "turns.0.mode"),
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
    answer = post_text(client, path, json.dumps(BY_PATH[path] | changes))
    assert answer.status_code == 400, answer.text


@pytest.mark.parametrize("body", ["", "{", "null", "[]", '"x"'])
def test_a_body_that_is_no_request_is_refused(client, body):
    answer = post_text(client, "/completions", body)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] in (
        "invalid_json",
        "invalid_value",
        "missing_required_parameter",
    )


def test_a_body_of_brackets_without_end_is_refused(client):
    refusal(post_text(client, "/completions", "[" * 100_000), code="invalid_json")


# Errors


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (NotFoundError("No such model.", "List them."), 404, "model_not_found"),
        (errors.RequestError("Wrong."), 400, "invalid_value"),
        (errors.RequestError("Long.", code="context_length_exceeded"), 400, None),
        (EngineError("vLLM does not answer."), 503, "engine_error"),
        (ProbeFailedError("It differs."), 503, "probe_failed"),
        (AdapterCorruptError("Changed."), 503, "adapter_corrupt"),
        (LmftError("Odd."), 500, "lmft_error"),
    ],
)
def test_each_error_has_its_status_and_code(error, status, code):
    found, body = errors.describe(error)
    assert found == status
    assert body["error"]["code"] == (code or "context_length_exceeded")
    assert str(error) == body["error"]["message"]


def test_while_the_engine_wakes_a_client_is_told_when_to_come_back():
    response = errors.error_response(EngineWakingError("Not ready.", 12.3))
    assert response.status_code == 503
    assert response.headers["retry-after"] == "13"
    assert "retry-after" not in errors.error_response(EngineError("Dead.")).headers


def test_of_an_engines_refusal_a_caller_hears_what_concerns_the_values_that_were_given():
    status, body = errors.describe(UpstreamRefusal(400, "logit_bias has no token 9"))
    assert (status, body["error"]["code"]) == (400, "invalid_value")
    assert "logit_bias has no token 9" in body["error"]["message"]


def test_of_an_engines_refusal_a_caller_hears_nothing_of_the_inside():
    inside = "The model `0a1b2c3d-0123456789ab` does not exist. (/home/me/.lmft/x)"
    status, body = errors.describe(UpstreamRefusal(404, inside))
    assert (status, body["error"]["code"]) == (503, "engine_error")
    assert "0a1b2c3d" not in str(body)


@pytest.mark.parametrize(
    "inside",
    [
        "/home/me/.local/share/lmft/adapters/x-0a1b2c3d",
        "~/x.lock",
        "http://127.0.0.1:8321/v1",
        "10.0.0.7:8000",
        "0x7f00deadbeef",
        "0a1b2c3d-0123456789ab",
        'first line\n  File "/usr/lib/x.py", line 3, in f',
    ],
)
def test_no_path_address_or_traceback_gets_into_an_answer(inside):
    message = errors.describe(EngineError(f"It failed at {inside}"))[1]["error"]["message"]
    assert message.startswith("It failed at ")
    for part in ("home", "x.lock", "127.", "10.0", "0x7f", "0a1b2c3d-", "File"):
        assert part not in message


def test_what_a_caller_should_read_stays_in_an_answer():
    said = "No such model. GET /v1/models lists what there is; docs/api.md and /readyz say more."
    assert errors.describe(NotFoundError(said))[1]["error"]["message"] == said


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


# The page about it

PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("request_", [ChatRequest, CompletionRequest, PlayRequest])
def test_every_field_is_on_the_page(request_):
    fields = {*request_.model_fields, *foreign.FIELDS} - {"turns", "stream_options"}
    assert sorted(field for field in fields if f"`{field}`" not in PAGE) == []


def test_every_error_is_on_the_page_with_its_status():
    rows = [
        line.split("|") for line in PAGE.splitlines() if line.startswith("| 4") or "| 50" in line
    ]
    written = {code.strip(" `"): int(row[1]) for row in rows for code in row[2].split(",")}
    for status, _, code in errors.KNOWN:
        if status != 499:
            assert written.get(code) == status, code


def test_every_limit_on_the_page_is_the_one_that_is_kept():
    for limit in (MAX_TURNS, MAX_CHARACTERS, MAX_ITEMS):
        assert f"{limit:,}" in PAGE
    for said in (
        f"at most {MAX_PROMPTS} of either",
        f"1 to {MAX_N}, prompts times `n` at most {MAX_ANSWERS}",
        f"a text or at most {MAX_STOPS}",
        f"at most {MAX_TOOLS} functions",
        f"{MAX_DEPTH} levels, {MAX_PROPERTIES} properties",
    ):
        assert said in PAGE, said
