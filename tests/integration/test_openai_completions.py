"""Every field of POST /v1/completions through the stock `openai` package and the real vLLM."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
import pytest

from lmft.dataset.encode import Encoder
from lmft.paths import EMBEDDED_BASE
from tests.conftest import START_SECONDS, Gateway

pytestmark = pytest.mark.engine

PROMPT = "You stand before a door of black oak."
ENCODER = Encoder(EMBEDDED_BASE, "<|endoftext|>", straight_quotes=True)


@pytest.fixture
def client(gateway: Gateway) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="none", timeout=START_SECONDS)


def ask(client: openai.OpenAI, **fields: Any) -> Any:
    fields = {"model": "embedded", "prompt": PROMPT, "max_tokens": 6, "temperature": 0} | fields
    return client.completions.create(**fields)


def test_echo_with_no_new_token_scores_a_text(client: openai.OpenAI) -> None:
    answer = ask(client, max_tokens=0, echo=True, logprobs=2)
    choice = answer.choices[0]
    assert choice.text == PROMPT
    assert "".join(choice.logprobs.tokens) == PROMPT
    assert choice.logprobs.token_logprobs[0] is None
    assert all(value < 0 for value in choice.logprobs.token_logprobs[1:])
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (
        len(ENCODER.text(PROMPT)),
        0,
    )


def test_log_probabilities_come_with_alternatives_and_places_in_the_text(
    client: openai.OpenAI,
) -> None:
    choice = ask(client, echo=True, logprobs=2).choices[0]
    scores = choice.logprobs
    assert choice.text.startswith(PROMPT)
    for token, place in zip(scores.tokens, scores.text_offset, strict=True):
        assert choice.text[place : place + len(token)] == token
    n_prompt = len(ENCODER.text(PROMPT))
    chosen = zip(
        scores.tokens[n_prompt:],
        scores.token_logprobs[n_prompt:],
        scores.top_logprobs[n_prompt:],
        strict=True,
    )
    for token, value, others in chosen:
        assert len(others) == 2
        # Greedy, but the contract's repetition penalty may choose another than the likeliest.
        assert value <= max(others.values())
        assert others.get(token, value) == value


def test_a_text_is_scored_as_it_was_generated(client: openai.OpenAI) -> None:
    generated = ask(client, logprobs=0).choices[0]
    scored = ask(
        client, prompt=PROMPT + generated.text, max_tokens=0, echo=True, logprobs=0
    ).choices[0]
    n_new = len(generated.logprobs.tokens)
    assert scored.logprobs.tokens[-n_new:] == generated.logprobs.tokens
    assert scored.logprobs.token_logprobs[-n_new:] == pytest.approx(
        generated.logprobs.token_logprobs, abs=0.01
    )


def test_a_stream_carries_the_same_log_probabilities_and_its_usage_last(
    client: openai.OpenAI,
) -> None:
    whole = ask(client, logprobs=1)
    chunks = list(ask(client, logprobs=1, stream=True, stream_options={"include_usage": True}))
    *parts, last = chunks
    values = [value for part in parts for value in part.choices[0].logprobs.token_logprobs]
    assert values == pytest.approx(whole.choices[0].logprobs.token_logprobs, abs=0.01)
    assert all("usage" in part.model_fields_set and part.usage is None for part in parts)
    assert last.choices == []
    assert last.usage.total_tokens == whole.usage.total_tokens


def test_a_stream_that_was_not_asked_for_its_usage_says_nothing_of_it(
    client: openai.OpenAI,
) -> None:
    assert all("usage" not in chunk.model_fields_set for chunk in ask(client, stream=True))


def test_several_answers_to_several_prompts_are_numbered_through(client: openai.OpenAI) -> None:
    answer = ask(client, prompt=[PROMPT, "Once"], n=2, temperature=1, seed=3)
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    assert answer.choices[0].text != answer.choices[1].text
    streamed = {index: "" for index in range(4)}
    for chunk in ask(client, prompt=[PROMPT, "Once"], n=2, temperature=1, seed=3, stream=True):
        for choice in chunk.choices:
            streamed[choice.index] += choice.text
    assert [streamed[choice.index] for choice in answer.choices] == [
        choice.text for choice in answer.choices
    ]


@pytest.mark.parametrize("batch", [False, True])
def test_a_prompt_may_be_a_text_or_its_tokens(client: openai.OpenAI, batch: bool) -> None:
    tokens = ENCODER.text(PROMPT)
    as_tokens = ask(client, prompt=[tokens] if batch else tokens)
    as_text = ask(client, prompt=[PROMPT] if batch else PROMPT)
    assert as_tokens.choices[0].text == as_text.choices[0].text


def test_the_same_seed_writes_the_same_and_another_seed_another(client: openai.OpenAI) -> None:
    first, again, other = (
        ask(client, temperature=1, max_tokens=12, seed=seed).choices[0].text for seed in (7, 7, 8)
    )
    assert first == again != other


def test_a_stop_string_ends_the_answer_and_is_no_part_of_it(client: openai.OpenAI) -> None:
    text = ask(client, max_tokens=12).choices[0].text
    word = text.split()[2]
    choice = ask(client, max_tokens=12, stop=["\n\n\n", word]).choices[0]
    assert choice.finish_reason == "stop"
    assert choice.text == text[: text.index(word)]


def test_as_many_stops_are_taken_as_a_large_cast_needs(client: openai.OpenAI) -> None:
    assert ask(client, stop=[f"\nName {number}:" for number in range(16)]).choices[0].text


def test_a_bias_makes_a_token_certain_or_impossible(client: openai.OpenAI) -> None:
    (token,) = ENCODER.text(" door")
    sure = ask(client, logit_bias={str(token): 100}, max_tokens=3, extra_body=UNPENALISED)
    assert sure.choices[0].text == " door door door"
    free = ask(client, max_tokens=1, extra_body=UNPENALISED).choices[0].text
    (first,) = ENCODER.text(free)
    without = ask(client, logit_bias={str(first): -100}, max_tokens=1, extra_body=UNPENALISED)
    assert without.choices[0].text != free


UNPENALISED = {"repetition_penalty": 1}


@pytest.mark.parametrize("penalty", ["presence_penalty", "frequency_penalty"])
def test_a_penalty_makes_a_text_repeat_itself_less(client: openai.OpenAI, penalty: str) -> None:
    def distinct(**fields: float) -> int:
        text = ask(client, max_tokens=48, stop=[], extra_body=UNPENALISED, **fields).choices[0].text
        return len(set(ENCODER.text(text)))

    assert distinct(**{penalty: 2}) > distinct()


def test_a_field_of_another_engines_goes_through_the_sdk(client: openai.OpenAI) -> None:
    greedy = ask(client).choices[0].text
    narrowed = ask(client, temperature=1.5, extra_body={"top_k": 1}).choices[0].text
    assert narrowed == greedy


@pytest.mark.parametrize(
    ("fields", "param", "says"),
    [
        ({"best_of": 3}, "best_of", "`n`"),
        ({"suffix": "The end."}, "suffix", "`prompt`"),
        ({"n": 2}, "n", "temperature"),
        ({"prompt": [10**6]}, "prompt", "vocabulary"),
        ({"logit_bias": {"1000000": 1}}, "logit_bias", "vocabulary"),
        ({"max_tokens": 0}, "max_tokens", "echo"),
        ({"max_tokens": 100_000}, None, "context"),
        ({"prompt": "word " * 20_000}, None, "context"),
    ],
)
def test_what_cannot_be_done_is_refused_with_what_to_do(
    client: openai.OpenAI, fields: dict[str, Any], param: str | None, says: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, **fields)
    assert caught.value.param == param
    assert says in caught.value.message


def test_eight_async_streams_at_once_each_give_what_they_give_alone(gateway: Gateway) -> None:
    async def told(client: openai.AsyncOpenAI, model: str) -> str:
        stream = await client.completions.create(
            model=model, prompt=PROMPT, max_tokens=12, temperature=0, stream=True
        )
        return "".join([chunk.choices[0].text async for chunk in stream])

    async def run() -> None:
        base_url = f"{gateway.url}/v1"
        async with openai.AsyncOpenAI(
            base_url=base_url, api_key="none", timeout=START_SECONDS
        ) as client:
            models = ["embedded", gateway.adapter_id]
            alone = [await told(client, model) for model in models]
            together = await asyncio.gather(*(told(client, model) for model in models * 4))
            assert together == alone * 4

    asyncio.run(run())
