"""Request and format contract to what vLLM is asked."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmft.corpus.documents import Document
from lmft.dataset.blocks import pack
from lmft.dataset.encode import Encoder
from lmft.format.contract import FormatContract, SamplerDefaults
from lmft.paths import EMBEDDED_BASE
from serving.gateway.errors import RequestError
from serving.gateway.sampling import (
    engine_fields,
    openai_fields,
    prompt_ids,
    raw_stops,
    reply_room,
    stops,
)
from serving.gateway.schemas.requests import CompletionRequest
from serving.pool.served import ServedModel
from tests.unit.bos import EOS, bos_encoder

ENCODER = Encoder(EMBEDDED_BASE, EOS)
SAMPLER = SamplerDefaults(temperature=0.6, top_p=0.7, repetition_penalty=1.3, max_tokens=50)
CONTRACT = FormatContract(
    kind="adventure", stop=("\n>",), eos=EOS, context_length=100, sampler=SAMPLER
)
BASE = CONTRACT.model_copy(update={"kind": "base"})
MODEL = ServedModel("ft:b:me:s:01234567", "01234567-internal", "0a1b2c", CONTRACT)


def request(**fields) -> CompletionRequest:
    return CompletionRequest(model=MODEL.id, prompt="Once", **fields)


def test_what_the_request_leaves_out_comes_from_the_contract():
    assert engine_fields(request(), MODEL) == {
        "model": "01234567-internal",
        "seed": None,
        "temperature": 0.6,
        "top_p": 0.7,
        "repetition_penalty": 1.3,
    }


def test_what_the_request_says_holds_even_when_it_is_zero():
    fields = engine_fields(request(temperature=0, top_p=1, repetition_penalty=1, seed=0), MODEL)
    assert fields["temperature"] == 0
    assert (fields["top_p"], fields["repetition_penalty"], fields["seed"]) == (1, 1, 0)


@pytest.mark.parametrize(
    ("given_stop", "contract", "asked"),
    [
        (None, CONTRACT, ["\n>"]),
        (None, BASE, []),
        ([], CONTRACT, []),
        ("END", CONTRACT, ["END"]),
        (["A", "B"], CONTRACT, ["A", "B"]),
        (["A"], BASE, ["A"]),
    ],
)
def test_no_stops_means_the_contracts_and_an_empty_list_means_none(given_stop, contract, asked):
    assert stops(given_stop, raw_stops(contract)) == asked


@settings(deadline=None)
@given(st.integers(1, 150), st.none() | st.integers(1, 150))
def test_a_reply_never_goes_beyond_the_context(n_prompt, wanted):
    room = 100 - n_prompt
    if room < (wanted or 1):
        with pytest.raises(RequestError) as caught:
            reply_room([0] * n_prompt, wanted, 50, 100)
        assert caught.value.code == "context_length_exceeded"
        assert f"the prompt has {n_prompt}" in caught.value.message
        assert wanted is None or f"{wanted} for the answer" in caught.value.message
        return
    granted = reply_room([0] * n_prompt, wanted, 50, 100)
    assert granted == (wanted or min(50, room))


def test_a_prompt_that_is_only_looked_at_leaves_room_for_the_token_that_vllm_computes():
    assert reply_room([0] * 99, 0, 50, 100) == 0
    with pytest.raises(RequestError):
        reply_room([0] * 100, 0, 50, 100)


def test_a_seed_of_minus_one_is_none():
    assert engine_fields(request(seed=-1), MODEL)["seed"] is None
    assert engine_fields(request(seed=-2), MODEL)["seed"] == -2


def test_fields_that_few_ask_for_go_to_the_engine_only_then():
    assert "top_k" not in engine_fields(request(), MODEL)
    fields = engine_fields(request(top_k=40, min_p=0.1), MODEL)
    assert (fields["top_k"], fields["min_p"]) == (40, 0.1)


def test_a_top_p_of_zero_is_the_most_likely_token_alone():
    assert 0 < engine_fields(request(top_p=0), MODEL)["top_p"] < 1e-3


def lease() -> Any:
    return SimpleNamespace(model=MODEL, encoder=ENCODER)


def test_answers_that_cannot_differ_are_refused():
    assert openai_fields(request(n=3), lease())["n"] == 3
    with pytest.raises(RequestError, match="temperature") as caught:
        openai_fields(request(n=3, temperature=0), lease())
    assert caught.value.param == "n"


def test_a_bias_on_a_token_that_the_base_does_not_have_is_refused():
    last = ENCODER.vocab_size - 1
    assert openai_fields(request(logit_bias={str(last): 5}), lease())["logit_bias"]
    with pytest.raises(RequestError, match="vocabulary") as caught:
        openai_fields(request(logit_bias={str(last + 1): 5}), lease())
    assert caught.value.param == "logit_bias"


def test_quotes_of_a_prompt_are_folded_as_in_training():
    folding = CONTRACT.model_copy(update={"fold_quotes": True})
    assert prompt_ids("“Go”", folding, ENCODER, begins=False) == ENCODER.text('"Go"')
    assert prompt_ids("“Go”", CONTRACT, ENCODER, begins=False) == ENCODER.text("“Go”")


def test_a_prompt_begins_as_the_documents_of_training_do():
    document = ENCODER.encode(Document("a", text="You wait.", ends=False), None)
    (trained,) = pack([document], 64, ENCODER.start_id).ids_NT.tolist()
    assert prompt_ids("You wait.", CONTRACT, ENCODER, begins=True) == trained
    assert prompt_ids("You wait.", CONTRACT, ENCODER, begins=False) == trained[1:]
    assert prompt_ids("", CONTRACT, ENCODER, begins=False) == [ENCODER.start_id]


def test_a_base_that_knows_no_text_without_its_beginning_of_text_gets_it_always(tmp_path):
    encoder = bos_encoder(tmp_path)
    for begins in (True, False):
        ids = prompt_ids("You wait.", CONTRACT, encoder, begins=begins)
        assert ids == [encoder.start_id, *encoder.text("You wait.")]
        assert prompt_ids("", CONTRACT, encoder, begins=begins) == [encoder.start_id]


def test_end_of_text_in_a_prompt_is_text():
    assert ENCODER.eos_id not in prompt_ids(f"a{EOS}b", CONTRACT, ENCODER, begins=False)
