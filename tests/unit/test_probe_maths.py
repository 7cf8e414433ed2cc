"""The parity probe's figures and its verdict: each reason to fail is named."""

from __future__ import annotations

import dataclasses
import math
from types import SimpleNamespace

import pytest

from lmft.errors import ProbeFailedError
from lmft.registry.difference import mean_difference
from serving.engine.probe import (
    EXACT_SHARE,
    MOST_TIE_NATS,
    NEAR_TIE_NATS,
    TOLERATED_SHARE,
    ProbeResult,
    _agreement,
    _judge,
    _judged,
)
from serving.engine.reference import Answers, Reference

PASSING = ProbeResult(
    prompts=8,
    tokens=512,
    adapter_effect=0.5,
    adapter_difference=0.001,
    base_difference=0.001,
    mixed_difference=0.0,
    greedy_agreement=1.0,
    seconds=1.0,
)


def verdict(**changes: float) -> str:
    result = dataclasses.replace(PASSING, **changes)
    with pytest.raises(ProbeFailedError) as caught:
        _judge("ft:b:me:s:01234567", result, result.base_difference)
    assert "ft:b:me:s:01234567 is not served" in caught.value.message
    assert caught.value.hint
    return caught.value.message


def test_the_difference_is_the_mean_over_all_tokens_of_all_prompts():
    assert mean_difference([[-1.0, -2.0], [-3.0]], [[-1.5, -2.0], [-2.0]]) == pytest.approx(0.5)
    assert mean_difference([[-1.0]], [[-1.0]]) == 0


@pytest.mark.parametrize("other", [[[0.0], [0.0]], [[0.0]], []])
def test_answers_of_another_length_are_not_compared(other):
    with pytest.raises(ValueError, match=r"shorter|longer"):
        mean_difference([[0.0, 0.0], [0.0]], other)


def test_greedy_tokens_agree_up_to_a_near_tie():
    reference = [[1, 2, 3], [4, 5, 6]]
    wide = [[1.0] * 3] * 2
    assert _agreement(reference, reference, wide) == 1
    assert _agreement([[1, 9, 3], [4, 5, 6]], reference, wide) == 0.5
    tie = [[1.0, NEAR_TIE_NATS / 2, 1.0], [1.0] * 3]
    assert _agreement([[1, 9, 9], [4, 5, 6]], reference, tie) == 1


def test_only_a_tie_at_the_first_difference_excuses():
    late_tie = [[1.0, 1.0, 0.0]]
    assert _agreement([[1, 9, 9]], [[1, 2, 3]], late_tie) == 0
    exact = [[1.0, NEAR_TIE_NATS, 1.0]]
    assert _agreement([[1, 9, 9]], [[1, 2, 3]], exact) == 0


def test_a_tie_is_wider_where_rounding_moves_more():
    assert _agreement([[1, 9, 9]], [[1, 2, 3]], [[1.0, 0.15, 1.0]]) == 0
    assert _agreement([[1, 9, 9]], [[1, 2, 3]], [[1.0, 0.15, 1.0]], near_tie_nats=0.2) == 1


def test_a_short_greedy_answer_is_not_compared():
    with pytest.raises(ValueError, match=r"shorter|longer"):
        _agreement([[1, 2]], [[1, 2, 3]], [[1.0] * 3])


def test_what_is_as_trained_passes():
    _judge("x", PASSING, PASSING.base_difference)
    allowed = TOLERATED_SHARE * PASSING.adapter_effect
    rounded = dataclasses.replace(PASSING, adapter_difference=allowed, mixed_difference=allowed)
    _judge("x", rounded, allowed)
    _judge("x", rounded, None)


def test_an_adapter_that_is_further_off_than_rounding_lacks_a_part():
    """vLLM's GPT-BigCode without the LoRA of its c_attn was off by a twentieth of the effect."""
    twentieth = PASSING.adapter_effect / 20
    assert "its log-probabilities differ by 0.0250 nats (allowed: 0.0100)" in verdict(
        adapter_difference=twentieth, base_difference=1e-6
    )
    exact = dataclasses.replace(PASSING, adapter_difference=EXACT_SHARE * PASSING.adapter_effect)
    _judge("x", exact, 1e-6)
    _judge("x", dataclasses.replace(PASSING, adapter_difference=twentieth), twentieth / 5)


def test_where_rounding_does_as_much_it_is_allowed_as_much_but_never_the_whole_effect():
    """In bf16 an adapter that changes little is hardly more than what rounding does."""
    off = {"adapter_difference": 0.2, "base_difference": 0.2, "mixed_difference": 0.2}
    _judge("x", dataclasses.replace(PASSING, **off), 0.2, rounding=0.1)
    _judge("x", dataclasses.replace(PASSING, **off), None, rounding=0.1)
    with pytest.raises(ProbeFailedError, match=r"differ by 0\.2000 nats \(allowed: 0\.1000\)"):
        _judge("x", dataclasses.replace(PASSING, **off), 0.2, rounding=0.05)
    as_base = dataclasses.replace(PASSING, adapter_difference=PASSING.adapter_effect)
    with pytest.raises(ProbeFailedError, match=r"\(allowed: 0\.2500\)"):
        _judge("x", as_base, 1.0, rounding=9.0)


def test_rounding_excuses_nothing_where_the_base_shows_that_it_is_not_the_reason():
    """The GPT-BigCode of above, with a trainer that saw rounding do half as much."""
    lacking = dataclasses.replace(PASSING, adapter_difference=PASSING.adapter_effect / 20)
    with pytest.raises(ProbeFailedError, match=r"differ by 0\.0250 nats \(allowed: 0\.0100\)"):
        _judge("x", lacking, 1e-6, rounding=PASSING.adapter_effect / 40)


@pytest.mark.parametrize(
    ("rounding", "gap", "agrees"),
    [(0.0, 0.15, False), (0.02, 0.15, True), (0.02, 0.25, False), (9.0, MOST_TIE_NATS, False)],
)
def test_what_the_trainer_saw_rounding_do_decides_what_is_a_tie(rounding, gap, agrees):
    adapter = SimpleNamespace(id="ft:b:me:s:01234567")
    trained = Answers([[-1.0, -1.0]], [[1, 2]])
    reference = Reference([[7, 8, 9]], [[-2.0, -2.0]], trained, [[1.0, gap]], rounding)
    served = Answers(trained.logprobs, [[1, 3]])
    if agrees:
        assert _judged(adapter, reference, 0.0, served).greedy_agreement == 1
        return
    with pytest.raises(ProbeFailedError, match="only 0% of its greedy answers agree"):
        _judged(adapter, reference, 0.0, served)


@pytest.mark.parametrize(
    ("figure", "says"),
    [
        ("adapter_difference", "its log-probabilities differ by 0.0510 nats (allowed: 0.0100)"),
        ("base_difference", "the base's log-probabilities differ by 0.0510 nats"),
        ("mixed_difference", "answers in a mixed batch differ by 0.0510 nats"),
    ],
)
def test_a_difference_beyond_a_tenth_of_the_effect_fails_by_name(figure, says):
    message = verdict(**{figure: 0.051})
    assert says in message
    assert figure == "adapter_difference" or "(allowed: 0.0500)" in message
    assert message.count("differ by") == 1


@pytest.mark.parametrize("figure", ["adapter_difference", "base_difference", "mixed_difference"])
def test_no_number_is_no_pass(figure):
    assert "differ by nan nats" in verdict(**{figure: math.nan})


def test_a_base_that_is_no_number_excuses_nothing():
    message = verdict(base_difference=math.nan, adapter_difference=0.05)
    assert message.count("differ by") == 2


def test_other_greedy_answers_fail():
    assert "only 88% of its greedy answers agree" in verdict(greedy_agreement=0.875)


@pytest.mark.parametrize("effect", [0.0, math.nan])
def test_an_adapter_that_changes_nothing_fails(effect):
    """vLLM that ignores the adapter and a trainer that learnt nothing look the same: refused."""
    assert "it changes nothing" in verdict(
        adapter_effect=effect, adapter_difference=0.0, base_difference=0.0
    )


def test_all_reasons_are_named_at_once():
    message = verdict(adapter_difference=1.0, mixed_difference=2.0, greedy_agreement=0.5)
    for reason in ("its log-probabilities", "mixed batch", "50% of its greedy"):
        assert reason in message


def test_figures_are_rounded_for_the_api():
    figures = dataclasses.replace(PASSING, seconds=1.23456789).as_dict()
    assert figures["seconds"] == 1.234568
    assert set(figures) == {field.name for field in dataclasses.fields(ProbeResult)}
