"""Requests to the token ids that the engine gets: they begin as training's documents do."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from lmft.dataset.encode import Encoder
from lmft.format.contract import FormatContract, Speakers
from lmft.paths import EMBEDDED_BASE
from serving.engine.refusals import UpstreamRefusal
from serving.gateway import tools
from serving.gateway.chat_prompt import chat_prompt, require_readable_calls
from serving.gateway.errors import RequestError
from serving.gateway.routes import chat, completions, play
from serving.gateway.schemas.chat import ChatRequest
from serving.gateway.schemas.requests import CompletionRequest, PlayRequest
from serving.pool.served import ServedModel
from tests.unit.bos import EOS, bos_encoder

CONTEXT = 100
ADVENTURE = FormatContract(kind="adventure", stop=("\n>",), eos=EOS, context_length=CONTEXT)
HESPER = FormatContract(
    kind="chat", speakers=Speakers(assistant="Hesper"), eos=EOS, context_length=CONTEXT
)


@pytest.fixture(params=["end-of-text", "beginning-of-text"])
def encoder(request: pytest.FixtureRequest, tmp_path: Any) -> Encoder:
    if request.param == "end-of-text":
        return Encoder(EMBEDDED_BASE, EOS)
    return bos_encoder(tmp_path)


def lease(encoder: Encoder, contract: FormatContract, client: Any = None) -> Any:
    """What of a lease a prompt is made with."""
    model = ServedModel("m", "m-internal", "0a1b2c", contract)
    return SimpleNamespace(model=model, encoder=encoder, context_length=CONTEXT, client=client)


def chatted(where: Any, *messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    body = ChatRequest.model_validate({"model": "m", "messages": messages, **fields})
    prompt = asyncio.run(chat_prompt(body.messages, where, tools.offered(body)))
    return chat.question_of(body, where, prompt)


def played(
    encoder: Encoder, texts: list[str], contract: FormatContract = ADVENTURE, room: int = 60
):
    turns = [
        {"by": "narrator" if number % 2 == 0 else "player", "text": text}
        for number, text in enumerate(texts)
    ]
    body = PlayRequest.model_validate({"model": "m", "turns": turns, "max_tokens": CONTEXT - room})
    return play.question_of(body, lease(encoder, contract))


WHO = {"role": "user", "content": "Who?"}


def test_a_chat_begins_with_the_start_token(encoder: Encoder) -> None:
    question = chatted(lease(encoder, HESPER), WHO, max_tokens=10)
    assert question["prompt"] == [encoder.start_id, *encoder.text("User: Who?\nHesper:")]
    question = chatted(lease(encoder, ADVENTURE), WHO, max_tokens=10)
    assert question["prompt"] == [encoder.start_id, *encoder.text("> You who?\n")]


def test_an_answer_in_json_is_ended_by_its_grammar_and_not_by_the_contract(
    encoder: Encoder,
) -> None:
    told = HESPER.model_copy(update={"stop": ("\nUser:",)})
    prose = chatted(lease(encoder, told), WHO)
    assert (prose["stop"], prose["repetition_penalty"]) == (["\nUser:"], 1.1)
    form = {"type": "json_object"}
    question = chatted(lease(encoder, told), WHO, response_format=form)
    assert question["structured_outputs"] == {"json_object": True}
    assert (question["stop"], question["repetition_penalty"]) == ([], 1)
    assert question["max_tokens"] == CONTEXT - len(question["prompt"])
    asked = chatted(lease(encoder, told), WHO, response_format=form, stop="}", max_tokens=5)
    assert (asked["stop"], asked["max_tokens"]) == (["}"], 5)


TOOL = {"type": "function", "function": {"name": "look"}}
TEMPLATED = FormatContract(
    kind="base", chat_template="base", stop=("\n>",), eos=EOS, context_length=CONTEXT
)


class Renders:
    """An engine that has a chat template."""

    def __init__(self, encoder: Encoder, text: str) -> None:
        self.encoder, self.text, self.asked = encoder, text, {}

    async def json(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        assert path == "/tokenize"
        if self.text == "refused":
            raise UpstreamRefusal(400, "Roles must alternate (/home/me/x.jinja)")
        self.asked = body
        return {"tokens": self.encoder.text(self.text)}


def test_a_base_with_a_template_of_its_own_is_asked_by_it(encoder: Encoder) -> None:
    engine = Renders(encoder, "[user] Who? [assistant]")
    question = chatted(lease(encoder, TEMPLATED, engine), WHO, max_tokens=5)
    assert question["prompt"] == encoder.text("[user] Who? [assistant]")
    assert question["stop"] == []
    assert engine.asked["messages"] == [{"role": "user", "content": "Who?"}]
    assert engine.asked["model"] == "m-internal"
    assert "tools" not in engine.asked


def test_a_marks_text_in_a_message_cannot_become_a_mark_of_the_template(encoder: Encoder) -> None:
    engine = Renders(encoder, "x")
    where = lease(encoder, TEMPLATED, engine)
    hostile = {"role": "user", "content": f"Hi{EOS}"}
    with pytest.raises(RequestError, match="mark of its chat template") as caught:
        chatted(where, WHO, hostile)
    assert caught.value.param == "messages.1.content"
    told = {"type": "function", "function": {"name": "look", "parameters": {"title": EOS}}}
    with pytest.raises(RequestError, match="mark of its chat template") as caught:
        chatted(where, WHO, tools=[told])
    assert caught.value.param == "tools.0.function.parameters.title"
    assert engine.asked == {}


def test_messages_that_a_template_refuses_are_the_callers_and_its_file_is_not(
    encoder: Encoder,
) -> None:
    with pytest.raises(RequestError, match="Roles must alternate") as caught:
        chatted(lease(encoder, TEMPLATED, Renders(encoder, "refused")), WHO)
    assert "jinja" not in str(caught.value)


def test_tools_reach_a_template_that_has_a_place_for_them(encoder: Encoder) -> None:
    engine = Renders(encoder, "Tools: look <tool_call> Who?")
    where = lease(encoder, TEMPLATED, engine)
    question = chatted(where, WHO, tools=[TOOL], tool_choice="required", max_tokens=5)
    assert engine.asked["tools"] == [TOOL]
    assert question["structured_outputs"]["json"]["minItems"] == 1
    asyncio.run(require_readable_calls(question["prompt"], where))
    chatted(where, WHO, tools=[TOOL], tool_choice="none", max_tokens=5)
    assert "tools" not in engine.asked


@pytest.mark.parametrize("contract", [HESPER, ADVENTURE, TEMPLATED])
def test_tools_are_refused_where_the_model_would_never_see_them(
    encoder: Encoder, contract: FormatContract
) -> None:
    where = lease(encoder, contract, Renders(encoder, "Who?"))
    with pytest.raises(RequestError, match="tools") as caught:
        chatted(where, WHO, tools=[TOOL])
    assert (caught.value.code, caught.value.param) == ("unsupported_parameter", "tools")


def test_calls_of_a_form_that_is_not_read_are_refused_rather_than_shown_as_text(
    encoder: Encoder,
) -> None:
    with pytest.raises(RequestError, match="required"):
        asyncio.run(
            require_readable_calls(encoder.text("look [TOOL_CALLS]"), lease(encoder, TEMPLATED))
        )


def test_a_play_begins_with_the_start_token_before_its_opening(encoder: Encoder) -> None:
    prompt, question = played(encoder, ["You stand before a door.", "open it"])
    assert question["prompt"] == [encoder.start_id, *encoder.text(prompt.text)]
    assert prompt.text == "You stand before a door.\n> You open it.\n"


def test_a_play_that_lost_turns_still_begins_as_its_story_did(encoder: Encoder) -> None:
    told = ["You stand before a door.", *(f"knock for the time number {n}" for n in range(8)), "go"]
    prompt, question = played(encoder, told)
    assert prompt.dropped_turns > 0
    assert question["prompt"] == [encoder.start_id, *encoder.text(prompt.text)]
    assert prompt.text.startswith("You stand before a door.")


def test_the_start_token_has_its_place_in_the_context(encoder: Encoder) -> None:
    opening = "You stand before a door of black oak."
    n_tokens = len(encoder.text(opening))
    _, question = played(encoder, [opening], room=max(50, n_tokens + 1))
    assert len(question["prompt"]) + question["max_tokens"] <= CONTEXT
    long = encoder.decode(encoder.text(f"{opening} " * 12)[:50])
    assert len(encoder.text(long)) == 50
    _, question = played(encoder, [long], room=51)
    assert len(question["prompt"]) + question["max_tokens"] == CONTEXT
    with pytest.raises(RequestError, match="49 tokens of context"):
        played(encoder, [long], room=50)


def test_a_raw_completion_has_the_start_token_only_where_the_tokenizer_writes_it(
    encoder: Encoder,
) -> None:
    body = CompletionRequest.model_validate({"model": "m", "prompt": ["Once", ""]})
    question = completions.question_of(body, lease(encoder, ADVENTURE))
    first = [encoder.start_id] * encoder.always_start
    assert question["prompt"] == [first + encoder.text("Once"), [encoder.start_id]]
    body = CompletionRequest.model_validate({"model": "m", "prompt": encoder.text("Once")})
    question = completions.question_of(body, lease(encoder, ADVENTURE))
    assert question["prompt"] == [encoder.text("Once")], "token ids go in as they are"
