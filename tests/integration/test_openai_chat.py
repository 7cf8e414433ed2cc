"""Every field of POST /v1/chat/completions through the stock `openai` package and the real vLLM."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import jsonschema
import openai
import pytest

from tests.conftest import START_SECONDS, Gateway

pytestmark = pytest.mark.engine

QUESTION = [{"role": "user", "content": "Is there a bed for the night?"}]
FORM = {
    "type": "object",
    "properties": {
        "answer": {"type": "string", "maxLength": 30},
        "beds": {"type": "integer", "minimum": 0, "maximum": 9},
        "mood": {"enum": ["kind", "cross"]},
        "guests": {"type": "array", "items": {"type": "boolean"}, "maxItems": 3},
    },
    "required": ["answer", "beds", "mood", "guests"],
    "additionalProperties": False,
}
IN_FORM = {"type": "json_schema", "json_schema": {"name": "beds", "schema": FORM, "strict": True}}
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}


@pytest.fixture
def client(gateway: Gateway) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="none", timeout=START_SECONDS)


@pytest.fixture
def character(gateway: Gateway) -> str:
    return gateway.character_id


def ask(client: openai.OpenAI, model: str, **fields: Any) -> Any:
    fields = {"messages": QUESTION, "max_tokens": 12, "temperature": 0} | fields
    return client.chat.completions.create(model=model, **fields)


def test_a_stream_begins_with_the_role_and_ends_with_reason_and_usage(
    client: openai.OpenAI, character: str
) -> None:
    whole = ask(client, character)
    chunks = list(ask(client, character, stream=True, stream_options={"include_usage": True}))
    first, *parts, end, last = chunks
    assert (first.choices[0].delta.role, first.choices[0].delta.content) == ("assistant", "")
    text = "".join(part.choices[0].delta.content for part in parts)
    assert text == whole.choices[0].message.content
    assert end.choices[0].finish_reason == whole.choices[0].finish_reason
    assert all("usage" in chunk.model_fields_set and chunk.usage is None for chunk in chunks[:-1])
    assert last.choices == []
    assert last.usage.completion_tokens == whole.usage.completion_tokens
    assert len({chunk.id for chunk in chunks}) == 1


def test_log_probabilities_have_the_shape_of_a_chat_whole_and_streamed(
    client: openai.OpenAI, character: str
) -> None:
    fields = {"logprobs": True, "top_logprobs": 3}
    whole = ask(client, character, **fields)
    tokens = whole.choices[0].logprobs.content
    assert len(tokens) == whole.usage.completion_tokens
    for token in tokens:
        assert bytes(token.bytes).decode() == token.token
        values = [other.logprob for other in token.top_logprobs]
        assert len(values) == 3
        assert values == sorted(values, reverse=True)
    text = "".join(token.token for token in tokens)
    assert whole.choices[0].message.content == text.lstrip()
    chunks = ask(client, character, stream=True, **fields)
    streamed = [
        token
        for chunk in chunks
        for choice in chunk.choices
        if choice.logprobs
        for token in choice.logprobs.content
    ]
    assert [token.token for token in streamed] == [token.token for token in tokens]


def test_log_probabilities_come_only_when_they_are_asked_for(
    client: openai.OpenAI, character: str
) -> None:
    assert ask(client, character).choices[0].logprobs is None
    only = ask(client, character, logprobs=True).choices[0].logprobs.content
    assert all(token.top_logprobs == [] for token in only)


def test_several_answers_each_have_a_stream_of_their_own(
    client: openai.OpenAI, character: str
) -> None:
    fields = {"n": 2, "temperature": 1, "seed": 5}
    whole = [choice.message.content for choice in ask(client, character, **fields).choices]
    assert whole[0] != whole[1]
    told = ["", ""]
    roles = [0, 0]
    for chunk in ask(client, character, stream=True, **fields):
        for choice in chunk.choices:
            told[choice.index] += choice.delta.content or ""
            roles[choice.index] += choice.delta.role == "assistant"
    assert told == whole
    assert roles == [1, 1]


def test_stop_seed_and_bias_do_what_they_do_in_a_completion(
    client: openai.OpenAI, character: str
) -> None:
    text = ask(client, character).choices[0].message.content
    word = text.split()[2]
    stopped = ask(client, character, stop=word).choices[0]
    assert (stopped.message.content, stopped.finish_reason) == (
        text[: text.index(word)],
        "stop",
    )
    first, again = (
        ask(client, character, temperature=1, seed=4).choices[0].message.content for _ in range(2)
    )
    assert first == again


def test_max_completion_tokens_is_the_length_of_the_answer(
    client: openai.OpenAI, character: str
) -> None:
    fields = {"max_tokens": None, "max_completion_tokens": 3, "stop": []}
    assert ask(client, character, **fields).usage.completion_tokens == 3


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["character", "adventure", "base"])
def test_an_answer_in_a_json_schema_keeps_to_it_whatever_the_models_own_format_is(
    client: openai.OpenAI, gateway: Gateway, model: str, stream: bool
) -> None:
    names = {
        "character": gateway.character_id,
        "adventure": gateway.adapter_id,
        "base": "embedded",
    }
    fields = {"response_format": IN_FORM, "temperature": 1, "seed": 1, "max_tokens": None}
    answer = ask(client, names[model], stream=stream, **fields)
    if stream:
        parts = [choice for chunk in answer for choice in chunk.choices]
        text = "".join(part.delta.content or "" for part in parts)
        reason = parts[-1].finish_reason
    else:
        text, reason = answer.choices[0].message.content, answer.choices[0].finish_reason
    assert reason == "stop"
    jsonschema.validate(json.loads(text), FORM)


def test_an_answer_that_must_be_an_object_is_one(client: openai.OpenAI, character: str) -> None:
    answer = ask(client, character, response_format={"type": "json_object"}, max_tokens=200)
    assert answer.choices[0].finish_reason == "stop"
    assert isinstance(json.loads(answer.choices[0].message.content), dict)


def test_text_is_a_response_format_too(client: openai.OpenAI, character: str) -> None:
    plain = ask(client, character, response_format={"type": "text"})
    assert plain.choices[0].message.content == ask(client, character).choices[0].message.content


@pytest.mark.parametrize("stream", [False, True])
def test_a_schema_that_the_engine_cannot_hold_is_refused_before_the_first_token(
    client: openai.OpenAI, character: str, stream: bool
) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"not": {}}}}
    with pytest.raises(openai.BadRequestError, match="not") as caught:
        ask(client, character, response_format=form, stream=stream)
    assert caught.value.param == "response_format"


def test_tools_are_refused_where_a_model_was_taught_none(
    client: openai.OpenAI, character: str
) -> None:
    called = {"id": "a", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    about = [
        {"role": "assistant", "content": None, "tool_calls": [called]},
        {"role": "tool", "tool_call_id": "a", "content": "A bed."},
    ]
    for fields in ({"tools": [TOOL]}, {"messages": [*QUESTION, *about]}):
        with pytest.raises(openai.BadRequestError, match="not taught tools") as caught:
            ask(client, character, **fields)
        assert caught.value.code == "unsupported_parameter"
    assert ask(client, character, tools=[TOOL], tool_choice="none").choices


def test_fields_that_popular_clients_send_change_nothing(
    client: openai.OpenAI, character: str
) -> None:
    plain = ask(client, character).choices[0].message.content
    told = ask(
        client,
        character,
        n=1,
        top_logprobs=None,
        user="me",
        metadata={"app": "tavern"},
        store=False,
        service_tier="auto",
        reasoning_effort="low",
        parallel_tool_calls=True,
        presence_penalty=0,
        frequency_penalty=0,
        logit_bias={},
        modalities=["text"],
        extra_body={"typical_p": 1, "tfs": 1, "top_a": 0, "min_p": 0, "mirostat_mode": 0},
    )
    assert told.choices[0].message.content == plain


def test_a_conversation_goes_on_with_the_messages_that_were_answered(
    client: openai.OpenAI, character: str
) -> None:
    answered = ask(client, character).choices[0].message
    follow_up = {"role": "user", "content": [{"type": "text", "text": "And supper?"}]}
    assert ask(client, character, messages=[*QUESTION, answered, follow_up]).choices
    again = [*QUESTION, answered.model_dump(), follow_up]
    assert ask(client, character, messages=again).choices


def test_the_async_client_streams_a_chat(gateway: Gateway, client: openai.OpenAI) -> None:
    async def told() -> str:
        base_url = f"{gateway.url}/v1"
        async with openai.AsyncOpenAI(
            base_url=base_url, api_key="none", timeout=START_SECONDS
        ) as asks:
            stream = await asks.chat.completions.create(
                model=gateway.character_id,
                messages=QUESTION,
                max_tokens=12,
                temperature=0,
                stream=True,
            )
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    whole = ask(client, gateway.character_id).choices[0].message.content
    assert asyncio.run(told()) == whole


# What lmft does not have


@pytest.mark.parametrize(
    ("ask_for", "says"),
    [
        (lambda c: c.embeddings.create(model="embedded", input="x"), "embeddings"),
        (lambda c: c.responses.create(model="embedded", input="x"), "/v1/chat/completions"),
        (lambda c: c.moderations.create(model="embedded", input="x"), "moderation"),
        (lambda c: c.images.generate(model="embedded", prompt="x"), "images"),
        (lambda c: c.audio.speech.create(model="m", input="x", voice="alloy"), "audio"),
        (lambda c: c.batches.list(), "batches"),
    ],
)
def test_what_is_not_offered_is_refused_by_name(
    client: openai.OpenAI, ask_for: Any, says: str
) -> None:
    with pytest.raises(openai.NotFoundError, match=says) as caught:
        ask_for(client)
    assert caught.value.code == "unsupported_route"


# Tokenization


def test_tokens_of_a_chat_are_those_that_it_is_asked_with(
    gateway: Gateway, client: openai.OpenAI, character: str
) -> None:
    with gateway.client() as http:
        body = {"model": character, "messages": QUESTION}
        found = http.post("/v1/lmft/tokenize", json=body).json()
    assert found["count"] == len(found["tokens"]) == len(found["pieces"])
    assert "".join(found["pieces"]).endswith("Hesper:")
    assert ask(client, character).usage.prompt_tokens == found["count"]
    raw = client.completions.create(
        model=character, prompt=found["tokens"], max_tokens=12, temperature=0
    )
    assert raw.choices[0].text.lstrip() == ask(client, character).choices[0].message.content


def test_a_text_comes_back_from_its_tokens_with_quotes_as_the_model_knows_them(
    gateway: Gateway,
) -> None:
    with gateway.client() as http:
        body = {"model": "embedded", "prompt": "\u201cGo!\u201d <|endoftext|>"}
        tokens = http.post("/v1/lmft/tokenize", json=body).json()["tokens"]
        answer = http.post("/v1/lmft/detokenize", json={"model": "embedded", "tokens": tokens})
        assert answer.json() == {"text": '"Go!" <|endoftext|>'}
        unknown = http.post("/v1/lmft/detokenize", json={"model": "embedded", "tokens": [10**6]})
        assert unknown.status_code == 400
