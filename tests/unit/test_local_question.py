"""What the local engine may be asked, and how it refuses the rest."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytest.importorskip("torch")

from serving.engine.local.question import QuestionError, read_question

LEAST = {"model": "base", "prompt": [1, 2]}


def read(**fields: Any) -> Any:
    return read_question(json.dumps(LEAST | fields).encode())


def test_null_means_what_is_left_out_means() -> None:
    nothing = dict.fromkeys(("seed", "logprobs", "stop", "logit_bias", "temperature", "n"))
    assert read(**nothing) == read()


def test_a_question_becomes_an_ask_for_each_choice_with_seeds_of_their_own() -> None:
    question = read(prompt=[[1], [2, 3]], n=2, seed=2**63 - 1, stop="x", logit_bias={"4": 1})
    asks = question.asks("adapter1")
    assert [ask.prompt for ask in asks] == [(1,), (1,), (2, 3), (2, 3)]
    assert [ask.sampling.seed for ask in asks] == [2**63 - 1, -(2**63)] * 2
    assert {ask.stops for ask in asks} == {("x",)}
    assert {ask.sampling.logit_bias for ask in asks} == {((4, 1.0),)}


def test_an_echo_with_logprobs_scores_the_prompt_too() -> None:
    assert read(echo=True, logprobs=2).asks("a")[0].prompt_logprobs == 2
    assert read(logprobs=2).asks("a")[0].prompt_logprobs is None


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"prompt": "text"}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [[]]}, "prompt"),
        ({"prompt": [-1]}, "prompt"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"min_tokens": 20}, "min_tokens"),
        ({"n": 0}, "n:"),
        ({"top_p": 0}, "top_p"),
        ({"logprobs": 21}, "logprobs"),
        ({"seed": 2**64}, "seed"),
        ({"logit_bias": {"the": 1}}, "logit_bias"),
        ({"stop": [""]}, "stop"),
        ({"structured_outputs": {"json": {}}}, "structured_outputs: is not known"),
        ({"use_beam_search": True}, "use_beam_search: is not known"),
        ({"prompt_embeds": "AAAA"}, "prompt_embeds: is not known"),
    ],
)
def test_what_cannot_be_answered_is_refused_by_the_name_of_its_field(
    fields: dict[str, Any], said: str
) -> None:
    with pytest.raises(QuestionError, match=said):
        read(**fields)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"model": NaN}', b"null", b"\xff"])
def test_a_body_that_is_no_question_is_refused(body: bytes) -> None:
    with pytest.raises(QuestionError):
        read_question(body)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"prompt": [100]}, "vocabulary"),
        ({"logit_bias": {"100": 1}}, "vocabulary"),
        ({"logit_bias": {"-1": 1}}, "negative"),
        ({"prompt": [1] * 20, "max_tokens": 13}, "context is 32"),
        ({"prompt": [[1], [1] * 40]}, "context is 32"),
    ],
)
def test_what_this_model_cannot_take_is_refused(fields: dict[str, Any], said: str) -> None:
    question = read(**fields)
    with pytest.raises(QuestionError, match=said):
        question.require(context_length=32, vocabulary=100)


def test_a_full_context_is_taken() -> None:
    read(prompt=[1] * 20, max_tokens=12).require(context_length=32, vocabulary=100)
