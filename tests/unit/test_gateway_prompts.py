"""Requests to the token ids that the engine gets: they begin as training's documents do."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from lmft.dataset.encode import Encoder
from lmft.format.contract import FormatContract, Speakers
from lmft.paths import EMBEDDED_BASE
from serving.engine.live import ServedModel
from serving.gateway.errors import RequestError
from serving.gateway.routes import chat, completions, play
from serving.gateway.schemas import ChatRequest, CompletionRequest, PlayRequest
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


def state(encoder: Encoder) -> Any:
    """What of the gateway a prompt is made with."""
    return SimpleNamespace(encoder=encoder, context_length=CONTEXT)


def served(contract: FormatContract) -> ServedModel:
    return ServedModel("m", "m-internal", "0a1b2c", contract)


def played(
    encoder: Encoder, texts: list[str], contract: FormatContract = ADVENTURE, room: int = 60
):
    turns = [
        {"by": "narrator" if number % 2 == 0 else "player", "text": text}
        for number, text in enumerate(texts)
    ]
    body = PlayRequest.model_validate({"model": "m", "turns": turns, "max_tokens": CONTEXT - room})
    return play._question(body, served(contract), state(encoder))


def test_a_chat_begins_with_the_start_token(encoder: Encoder) -> None:
    body = ChatRequest.model_validate(
        {"model": "m", "messages": [{"role": "user", "content": "Who?"}], "max_tokens": 10}
    )
    _, question = chat._question(body, served(HESPER), state(encoder))
    assert question["prompt"] == [encoder.start_id, *encoder.text("User: Who?\nHesper:")]
    _, question = chat._question(body, served(ADVENTURE), state(encoder))
    assert question["prompt"] == [encoder.start_id, *encoder.text("> You who?\n")]


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
    question = completions._question(body, served(ADVENTURE), state(encoder))
    first = [encoder.start_id] * encoder.always_start
    assert question["prompt"] == [first + encoder.text("Once"), [encoder.start_id]]
    body = CompletionRequest.model_validate({"model": "m", "prompt": encoder.text("Once")})
    question = completions._question(body, served(ADVENTURE), state(encoder))
    assert question["prompt"] == [encoder.text("Once")], "token ids go in as they are"
