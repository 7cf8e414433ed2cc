"""The unmodified `openai` package against the real server with the real vLLM behind it."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor

import httpx
import openai
import pytest

from lmft.dataset.encode import Encoder
from lmft.paths import EMBEDDED_BASE
from lmft.registry.adapters import get_adapter
from tests.conftest import START_SECONDS, Gateway
from tests.greedy import LOGPROBS, Greedy, greedy

pytestmark = pytest.mark.engine

PROMPT = "You stand before a door of black oak.\n> You open the door.\n"


def begun(text: str) -> list[int]:
    """A prompt that begins as a document does, which raw text does not."""
    encoder = Encoder(EMBEDDED_BASE, "<|endoftext|>", straight_quotes=True)
    return [encoder.start_id, *encoder.text(text)]


@pytest.fixture
def client(gateway: Gateway) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="none", timeout=START_SECONDS)


def test_a_completion_names_the_weights_that_made_it(
    client: openai.OpenAI, gateway: Gateway
) -> None:
    raw = client.completions.with_raw_response.create(
        model=gateway.adapter_id, prompt=PROMPT, seed=1, max_tokens=12
    )
    answer = raw.parse()
    digest = get_adapter(gateway.adapter_id).manifest.adapter_hash[:12]
    assert answer.model == raw.headers["x-lmft-model"] == gateway.adapter_id
    assert raw.headers["x-lmft-adapter"] == digest
    assert answer.system_fingerprint == f"lmft-{digest}"
    assert answer.choices[0].text
    assert answer.usage is not None
    assert answer.usage.completion_tokens <= 12


def test_the_adapter_and_the_base_answer_differently_and_each_the_same_again(
    client: openai.OpenAI, gateway: Gateway
) -> None:
    def ask(model: str) -> Greedy:
        fields = {"prompt": PROMPT, "temperature": 0, "max_tokens": 24, "logprobs": LOGPROBS}
        answer = client.completions.create(model=model, **fields)
        return greedy(answer.choices[0].model_dump())

    first = {model: ask(model) for model in ("embedded", gateway.adapter_id)}
    base, adapter = first.values()
    assert base.tokens != adapter.tokens
    # All at once, in one batch, several times over: still what each says alone.
    with ThreadPoolExecutor(6) as pool:
        again = list(pool.map(ask, [*first] * 3))
    pairs = zip(again, [base, adapter] * 3, strict=True)
    assert all(said.agrees_with(alone) for said, alone in pairs)


def test_a_stream_gives_the_same_text_and_its_usage(
    client: openai.OpenAI, gateway: Gateway
) -> None:
    fields = {"model": gateway.adapter_id, "prompt": PROMPT, "temperature": 0, "max_tokens": 16}
    whole = client.completions.create(**fields)
    chunks = list(
        client.completions.create(**fields, stream=True, stream_options={"include_usage": True})
    )
    text = "".join(chunk.choices[0].text for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].text
    assert chunks[-1].usage is not None
    assert {chunk.system_fingerprint for chunk in chunks} == {whole.system_fingerprint}


def test_chat_is_rendered_with_the_characters_name_and_stops_before_the_next_turn(
    client: openai.OpenAI, gateway: Gateway
) -> None:
    answer = client.chat.completions.create(
        model=gateway.character_id,
        messages=[{"role": "user", "content": "Is there a bed for the night?"}],
        temperature=0,
        max_tokens=40,
    )
    text = answer.choices[0].message.content
    assert text
    assert text == text.lstrip()
    assert "Traveller:" not in text
    # The gateway's prompt is exactly the training format.
    raw = client.completions.create(
        model=gateway.character_id,
        prompt=begun("Traveller: Is there a bed for the night?\nHesper:"),
        temperature=0,
        max_tokens=40,
    )
    assert raw.choices[0].text.lstrip() == text


def test_a_chat_stream_builds_the_same_message(client: openai.OpenAI, gateway: Gateway) -> None:
    fields = {
        "model": gateway.character_id,
        "messages": [{"role": "user", "content": "Who lives upstairs?"}],
        "temperature": 0,
        "max_tokens": 24,
    }
    whole = client.chat.completions.create(**fields)
    chunks = list(client.chat.completions.create(**fields, stream=True))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices[0].finish_reason == whole.choices[0].finish_reason
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == whole.choices[0].message.content


def test_a_narrator_takes_chat_messages_as_actions(client: openai.OpenAI, gateway: Gateway) -> None:
    answer = client.chat.completions.create(
        model=gateway.adapter_id,
        messages=[{"role": "user", "content": "take the lantern"}],
        temperature=0,
        max_tokens=24,
    )
    opening = get_adapter(gateway.adapter_id).contract.opening
    raw = client.completions.create(
        model=gateway.adapter_id,
        prompt=begun(f"{opening}\n> You take the lantern.\n"),
        temperature=0,
        max_tokens=24,
    )
    assert answer.choices[0].message.content == raw.choices[0].text.lstrip()


def test_the_async_client_streams_two_models_at_once(gateway: Gateway) -> None:
    async def ask(client: openai.AsyncOpenAI, model: str) -> str:
        stream = await client.completions.create(
            model=model, prompt=PROMPT, max_tokens=12, stream=True
        )
        return "".join([chunk.choices[0].text async for chunk in stream])

    async def both() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="none") as client:
            return await asyncio.gather(ask(client, "embedded"), ask(client, gateway.adapter_id))

    assert all(asyncio.run(both()))


def test_an_unknown_model_is_404_never_the_base(client: openai.OpenAI) -> None:
    for name in ("nope", "ft:embedded:me:nope:00000000", "../../etc/passwd", "/etc/passwd"):
        with pytest.raises(openai.NotFoundError) as caught:
            client.completions.create(model=name, prompt="x")
        assert caught.value.code == "model_not_found"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"max_tokens": 5000}, 400),
        ({"temperature": 9}, 400),
        ({"extra_body": {"chat_template": "{{ x }}"}}, 422),
        ({"extra_body": {"prompt_embeds": "x"}}, 422),
        ({"extra_body": {"lora_path": "/etc"}}, 422),
        ({"suffix": "end"}, 400),
        ({"n": 100}, 400),
        ({"prompt": [10**9]}, 400),
    ],
)
def test_a_bad_request_is_refused_in_openais_shape(
    client: openai.OpenAI, gateway: Gateway, fields: dict[str, object], status: int
) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        client.completions.create(**{"model": gateway.adapter_id, "prompt": "x", **fields})
    assert caught.value.status_code == status
    assert caught.value.body
    assert set(caught.value.body) == {"message", "type", "param", "code"}


def test_a_special_token_in_a_prompt_is_plain_text(client: openai.OpenAI) -> None:
    answer = client.completions.create(model="embedded", prompt="<|endoftext|>", max_tokens=1)
    assert answer.usage is not None
    assert answer.usage.prompt_tokens > 1


def test_typographic_quotes_reach_the_model_as_the_straight_ones_it_knows(
    client: openai.OpenAI,
) -> None:
    def ask(prompt: str) -> str:
        answer = client.completions.create(
            model="embedded", prompt=prompt, temperature=0, max_tokens=8
        )
        return answer.choices[0].text

    assert ask("\u201cWho\u2019s there?\u201d he said.") == ask('"Who\'s there?" he said.')


def test_nothing_of_vllm_is_reachable_through_the_gateway(gateway: Gateway) -> None:
    with gateway.client() as http:
        for path in (
            "/v1/load_lora_adapter",
            "/v1/unload_lora_adapter",
            "/tokenize",
            "/invocations",
        ):
            assert http.post(path, json={}).status_code in (404, 405), path
        for path in ("/metrics", "/version", "/v1/load_lora_adapter"):
            assert "vllm" not in http.get(path).text.lower(), path


def play(http: httpx.Client, model: str, *turns: dict[str, str]) -> list[dict[str, object]]:
    answer = http.post("/v1/lmft/play", json={"model": model, "turns": turns, "seed": 5})
    assert answer.status_code == 200, answer.text
    lines = [line for line in answer.text.split("\n") if line]
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


def test_a_turn_is_rendered_streamed_and_trimmed_by_the_contract(gateway: Gateway) -> None:
    opening = {"by": "narrator", "text": "You stand before a door of black oak."}
    action = {"by": "player", "mode": "do", "text": "open my door"}
    with gateway.client() as http:
        events = play(http, gateway.adapter_id, opening, action)
    assert events[0] == {"type": "turn", "text": "> You open your door."}
    streamed = "".join(str(event["text"]) for event in events if event["type"] == "delta")
    done = events[-1]
    assert done["model"] == gateway.adapter_id
    assert done["text"]
    assert str(done["text"]) in streamed
    assert "\n>" not in str(done["text"])


def test_the_same_seed_tells_the_same_again(gateway: Gateway) -> None:
    opening = {"by": "narrator", "text": "You stand before a door of black oak."}
    action = {"by": "player", "mode": "do", "text": "look around"}
    with gateway.client() as http:
        told = [play(http, gateway.adapter_id, opening, action)[-1]["text"] for _ in range(3)]
    assert len(set(told)) == 1


def test_a_continuation_stays_with_the_narrator(gateway: Gateway) -> None:
    with gateway.client() as http:
        events = play(http, gateway.adapter_id, {"by": "narrator", "text": "You hear a bell."})
    assert events[0]["type"] == "delta"
    assert events[-1]["text"]
    assert ">" not in str(events[-1]["text"])


def test_a_character_answers_what_is_said(gateway: Gateway) -> None:
    with gateway.client() as http:
        said = {"by": "player", "mode": "say", "text": "Good evening."}
        events = play(http, gateway.character_id, said)
    assert events[0] == {"type": "turn", "text": "Good evening."}
    assert events[-1]["text"]


def test_a_story_longer_than_the_context_loses_its_oldest_turns_not_its_opening(
    gateway: Gateway,
) -> None:
    turns = [{"by": "narrator", "text": "You stand before a door of black oak."}]
    for number in range(150):
        turns.append({"by": "player", "mode": "do", "text": f"knock for the time number {number}"})
        turns.append({"by": "narrator", "text": f"Nobody answers knock number {number}."})
    turns.append({"by": "player", "mode": "do", "text": "go away"})
    with gateway.client() as http:
        done = play(http, gateway.adapter_id, *turns)[-1]
    assert int(str(done["dropped_turns"])) > 100


def test_an_empty_story_is_refused(gateway: Gateway) -> None:
    with gateway.client() as http:
        body = {"model": gateway.adapter_id, "turns": [{"by": "narrator", "text": "  "}]}
        answer = http.post("/v1/lmft/play", json=body)
    assert answer.status_code == 400
    assert "opening" in answer.json()["error"]["message"]


def test_closing_a_stream_frees_the_engine_for_the_next(gateway: Gateway) -> None:
    """Abandoned streams must not pile up: many of them, then one that is answered."""
    with gateway.client() as http:
        body = {"model": gateway.adapter_id, "prompt": PROMPT, "max_tokens": 400, "stream": True}
        for _ in range(20):
            with http.stream("POST", "/v1/completions", json=body) as response:
                next(response.iter_lines())
        answer = http.post("/v1/completions", json={**body, "max_tokens": 4, "stream": False})
    assert answer.status_code == 200


def test_the_page_loads_and_carries_no_secret(gateway: Gateway) -> None:
    with gateway.client() as http:
        page = http.get("/")
    assert page.status_code == 200
    assert "gradio" in page.text


def test_a_page_from_elsewhere_may_not_ask(gateway: Gateway) -> None:
    with gateway.client() as http:
        body = {"model": "embedded", "prompt": "x", "max_tokens": 1}
        foreign = http.post("/v1/completions", json=body, headers={"origin": "http://evil.example"})
        rebound = http.get("/v1/models", headers={"host": "evil.example"})
    assert foreign.status_code == 403
    assert rebound.status_code == 403
