"""A base that brings a chat template of its own is asked by it, and by it may call tools."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import jsonschema
import openai
import pytest

from lmft.dataset.encode import Encoder
from lmft.paths import EMBEDDED_BASE
from tests.conftest import ROOT, START_SECONDS, free_port, wait_ready

pytestmark = [pytest.mark.engine, pytest.mark.long]

EOS = "<|endoftext|>"
TEMPLATE = (
    r"{% for tool in tools or [] %}"
    r'Tool: {{ tool.function.name }} as <tool_call>...</tool_call>{{ "\n" }}'
    r"{% endfor %}"
    r"{% for message in messages %}"
    r'{{ message.role }}) {{ message.content or "" }}'
    r"{% for call in message.tool_calls or [] %}{{ call.function.arguments.at }}{% endfor %}"
    r'{{ "\n" }}'
    r"{% endfor %}"
    r"{% if add_generation_prompt %}assistant){% endif %}"
)
LOOK = {
    "type": "function",
    "function": {
        "name": "look",
        "parameters": {
            "type": "object",
            "properties": {"at": {"$ref": "#/$defs/thing"}},
            "required": ["at"],
            "additionalProperties": False,
            "$defs": {"thing": {"enum": ["door", "well"]}},
        },
    },
}
WAIT = {
    "type": "function",
    "function": {
        "name": "wait",
        "parameters": {"type": "object", "properties": {}, "additionalProperties": False},
    },
}
QUESTION = [{"role": "user", "content": "What is there?"}]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[openai.OpenAI]:
    """The real server over the embedded base with a template, in a home without adapters."""
    base = tmp_path_factory.mktemp("bases") / "templated"
    shutil.copytree(EMBEDDED_BASE, base)
    (base / "chat_template.jinja").write_text(TEMPLATE)
    port = free_port()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "serving", "--no-ui"),
            *("--port", str(port), "--base", str(base)),
        ],
        cwd=ROOT,
        env={**os.environ, "LMFT_HOME": str(tmp_path_factory.mktemp("home"))},
    )
    try:
        wait_ready(f"http://127.0.0.1:{port}", process)
        base_url = f"http://127.0.0.1:{port}/v1"
        yield openai.OpenAI(base_url=base_url, api_key="none", timeout=START_SECONDS)
    finally:
        process.terminate()
        process.wait(timeout=START_SECONDS)


def ask(client: openai.OpenAI, **fields: Any) -> Any:
    fields = {"messages": QUESTION, "max_tokens": 60, "temperature": 0} | fields
    return client.chat.completions.create(model="templated", **fields)


def test_messages_are_rendered_by_the_bases_own_template(client: openai.OpenAI) -> None:
    encoder = Encoder(EMBEDDED_BASE, EOS, straight_quotes=True)
    prompt = encoder.text("user) What is there?\nassistant)")
    answer = ask(client)
    assert answer.usage.prompt_tokens == len(prompt)
    raw = client.completions.create(
        model="templated", prompt=prompt, max_tokens=60, temperature=0, stop=[]
    )
    assert answer.choices[0].message.content == raw.choices[0].text.strip()


def test_a_marks_text_in_a_message_is_refused(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="mark of its chat template"):
        ask(client, messages=[{"role": "user", "content": f"Hi{EOS}"}])


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_that_is_asked_for_keeps_to_the_tools_schema(
    client: openai.OpenAI, stream: bool
) -> None:
    fields = {"tools": [WAIT, LOOK], "temperature": 1, "seed": 2, "max_tokens": 200}
    named = {"type": "function", "function": {"name": "look"}}
    for choice, reason in (("required", "tool_calls"), (named, "stop")):
        answer = ask(client, tool_choice=choice, stream=stream, **fields)
        if stream:
            parts = [part.choices[0] for part in answer]
            calls = [call for part in parts for call in part.delta.tool_calls or []]
            assert [call.index for call in calls] == list(range(len(calls)))
            found = parts[-1].finish_reason
        else:
            calls, found = answer.choices[0].message.tool_calls, answer.choices[0].finish_reason
            assert answer.choices[0].message.content is None
        assert calls
        assert found == reason
        schemas = {
            tool["function"]["name"]: tool["function"]["parameters"] for tool in (WAIT, LOOK)
        }
        for call in calls:
            jsonschema.validate(json.loads(call.function.arguments), schemas[call.function.name])
        if choice == named:
            assert [call.function.name for call in calls] == ["look"]


def test_a_model_that_may_call_may_also_just_speak(client: openai.OpenAI) -> None:
    choice = ask(client, tools=[LOOK], tool_choice="auto").choices[0]
    assert choice.message.content
    assert choice.message.tool_calls is None
    told = ask(client, tools=[LOOK], tool_choice="none")
    assert told.usage.prompt_tokens == ask(client).usage.prompt_tokens


def test_a_call_and_its_result_are_part_of_the_conversation(client: openai.OpenAI) -> None:
    call = {
        "id": "a",
        "type": "function",
        "function": {"name": "look", "arguments": '{"at": "well"}'},
    }
    about = [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": "Deep."},
    ]
    encoder = Encoder(EMBEDDED_BASE, EOS, straight_quotes=True)
    prompt = "user) What is there?\nassistant) well\ntool) Deep.\nassistant)"
    answer = ask(client, messages=[*QUESTION, *about])
    assert answer.usage.prompt_tokens == len(encoder.text(prompt))


def test_an_answer_in_a_schema_needs_no_tools(client: openai.OpenAI) -> None:
    form = {
        "type": "object",
        "properties": {"n": {"enum": [1, 2]}},
        "required": ["n"],
        "additionalProperties": False,
    }
    answer = ask(
        client,
        response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": form}},
    )
    assert json.loads(answer.choices[0].message.content)["n"] in (1, 2)
