"""The tests' own measure of what counts as the same answer."""

from __future__ import annotations

from tests.greedy import NEAR_TIE_NATS, Greedy, greedy

NEAR = NEAR_TIE_NATS / 2


def answer(*places: tuple[str, str, float]) -> Greedy:
    """Each place: the token, the second best, the nats between them."""
    likely = [{second: -1.0 - gap, token: -1.0} for token, second, gap in places]
    return greedy({"logprobs": {"tokens": [one[0] for one in places], "top_logprobs": likely}})


def test_answers_agree_up_to_a_near_tie_only() -> None:
    said = answer(("a", "x", 1.0), ("b", "x", NEAR), ("c", "x", 1.0))
    assert said.agrees_with(said)
    assert said.agrees_with(answer(("a", "x", 1.0), ("x", "b", NEAR), ("y", "c", 2.0)))
    assert not said.agrees_with(answer(("a", "x", 1.0), ("x", "b", 1.0), ("y", "c", 2.0)))
    assert not said.agrees_with(answer(("a", "x", 1.0), ("y", "b", NEAR), ("c", "x", 1.0)))
    assert not said.agrees_with(answer(("x", "a", NEAR), ("b", "x", NEAR), ("c", "x", 1.0)))
    assert not said.agrees_with(answer(("a", "x", 1.0), ("b", "x", NEAR)))
