"""The measuring of one answer: loops, tokens, how it ends, log-probabilities that nobody sees."""

from __future__ import annotations

import random
from typing import Any

import pytest

from lmft.registry.traffic import Counts
from serving.watch.loops import is_loop, repeated_share
from serving.watch.meter import Meter, Outcome
from serving.watch.metrics import Metrics
from serving.watch.record import Record
from serving.watch.sampling import Sample, can_sample, chosen_logprobs, with_logprobs

MODEL = "ft:embedded:me:tale:0a1b2c3d"


@pytest.mark.parametrize(
    "text",
    [
        "I know. " * 20,
        "The door is of black oak, and behind it somebody breathes. You listen. "
        + "He waits. " * 20,
        "我不知道。" * 20,
        "a" * 80,
        "The bell rings twice, and stops, and you wait. " * 3,
    ],
)
def test_a_reply_that_says_the_same_again_is_a_loop(text: str) -> None:
    assert is_loop(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "No. No. No.",
        "The door is of black oak, and behind it somebody breathes. You listen, and hear a bell "
        "ring twice somewhere above. Then it is still, but for the rain on the slates, and your "
        "own blood. You might knock. You might as well go down again, and leave the house to it.",
        "Row, row, row your boat, gently down the stream. Merrily, merrily, merrily, merrily, life "
        "is but a dream. And so they rowed until the river met the sea, and nobody spoke.",
    ],
)
def test_prose_and_refrains_are_no_loop(text: str) -> None:
    assert not is_loop(text)


def test_a_loop_at_the_end_of_a_long_reply_is_seen() -> None:
    letters = random.Random(1)
    prose = "".join(letters.choice("abcdefgh ") for _ in range(30_000))
    assert repeated_share(prose) < 0.05
    assert is_loop(prose + "And so on. " * 400)


def test_every_eighth_request_is_sampled_but_no_two_within_ten_seconds() -> None:
    sample = Sample()
    slow = [sample.takes(second * 2.0) for second in range(24)]
    assert [index for index, taken in enumerate(slow) if taken] == [0, 8, 16]
    busy = Sample()
    assert sum(busy.takes(second / 100) for second in range(3000)) == 3


def test_who_asks_for_logprobs_himself_is_not_sampled() -> None:
    assert can_sample({})
    assert can_sample({"logprobs": None})
    assert not can_sample({"logprobs": 0})
    assert not can_sample({"echo": True})
    assert with_logprobs({"n": 2}) == {"n": 2, "logprobs": 0}


def test_logprobs_are_read_where_there_are_any() -> None:
    assert chosen_logprobs(None) == []
    assert chosen_logprobs({"token_logprobs": [None, -1.0]}) == [-1.0]


def metered(*, sampled: bool = False, outcome: Outcome = "failed") -> tuple[Meter, Record, Counts]:
    counts = Counts()
    record = Record("r", "POST", "/v1/completions", "")
    meter = Meter(
        record,
        Metrics().of(MODEL),
        counts.add,
        sampled=sampled,
        outcome_of=lambda _: outcome,
    )
    return meter, record, counts


def chunk(text: str, finish: str | None = None, logprob: float | None = None) -> dict[str, Any]:
    logprobs = None if logprob is None else {"token_logprobs": [logprob]}
    choice = {"index": 0, "text": text, "logprobs": logprobs, "finish_reason": finish}
    return {"choices": [choice]}


def test_a_stream_is_counted_once_with_what_the_engine_says_of_it() -> None:
    meter, record, counts = metered()
    with meter:
        meter.asks({"prompt": [[1, 2, 3]]})
        meter.piece(chunk("You wake"))
        meter.piece(chunk(" up.", "stop"))
        meter.piece({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 5}})
    assert counts == Counts(
        requests=1, prompt_tokens=3, completion_tokens=5, replies=1, reply_tokens=5, stopped=1
    )
    assert record.finish == ["stop"]
    assert record.first_token is not None


def test_a_broken_stream_counts_its_pieces_for_tokens_and_no_reply() -> None:
    meter, _, counts = metered(outcome="gone")
    with meter:
        meter.asks({"prompt": [1, 2, 3]})
        meter.piece(chunk("You"))
        meter.piece(chunk(" wake"))
        meter.broke(RuntimeError())
    assert counts == Counts(requests=1, aborted=1, prompt_tokens=3, completion_tokens=2)


def test_a_request_that_was_refused_is_none_of_the_models_traffic() -> None:
    meter, _, counts = metered(outcome="refused")
    with pytest.raises(RuntimeError), meter:
        raise RuntimeError
    assert counts == Counts()


def test_sampled_logprobs_are_summed_and_taken_out_of_the_answer() -> None:
    meter, _, counts = metered(sampled=True)
    with meter:
        asked = meter.asks({"prompt": [1], "temperature": 0.5})
        assert asked["logprobs"] == 0
        pieces = [chunk("You", None, -1.0), chunk(" wake", "stop", -3.0)]
        for piece in pieces:
            meter.piece(piece)
        assert [piece["choices"][0]["logprobs"] for piece in pieces] == [None, None]
    assert (counts.sampled_tokens, counts.sampled_logprob) == (2, -4.0)
    assert counts.sampled_temperature == 1.0


def test_logprobs_that_the_client_asked_for_stay_in_the_answer() -> None:
    meter, _, counts = metered(sampled=True)
    with meter:
        asked = meter.asks({"prompt": [1], "logprobs": 2})
        assert asked["logprobs"] == 2
        piece = chunk("You", "stop", -1.0)
        meter.piece(piece)
        assert piece["choices"][0]["logprobs"] is not None
    assert counts.sampled_tokens == 0


def test_a_looping_choice_of_several_is_one_loop() -> None:
    meter, _, counts = metered()
    choices = [
        {"index": 0, "text": "I know. " * 20, "finish_reason": "length"},
        {"index": 1, "text": "Nobody knows.", "finish_reason": "stop"},
    ]
    with meter:
        meter.whole({"choices": choices, "usage": {"prompt_tokens": 1, "completion_tokens": 84}})
    assert (counts.replies, counts.cut, counts.stopped, counts.looping) == (2, 1, 1, 1)


def test_a_model_that_is_gone_leaves_no_series_behind() -> None:
    metrics = Metrics()
    for model in ("one", "two"):
        metrics.of(model).prompt_tokens.inc(3)
        metrics.count(Record("r", "GET", "/v1/x", "", model=model, http_status=200), "/v1/x")
    metrics.keep_only(["two"])

    def models() -> set[str]:
        return {
            sample.labels["model"]
            for family in metrics.registry.collect()
            for sample in family.samples
            if "model" in sample.labels
        }

    assert models() == {"two"}
    metrics.of("one").prompt_tokens.inc()
    assert models() == {"one", "two"}
