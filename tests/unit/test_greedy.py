"""The tests' own measure of what counts as the same answer."""

from __future__ import annotations

from tests.greedy import NEAR_TIE_NATS, Greedy

NEAR = NEAR_TIE_NATS / 2


def test_answers_agree_up_to_a_near_tie_only() -> None:
    said = Greedy(("a", "b", "c"), (1.0, NEAR, 1.0))
    assert said.agrees_with(said)
    assert said.agrees_with(Greedy(("a", "x", "y"), (1.0, NEAR, 2.0)))
    assert not said.agrees_with(Greedy(("a", "x", "y"), (1.0, 1.0, 2.0)))
    assert not said.agrees_with(Greedy(("x", "b", "c"), (1.0, NEAR, 1.0)))
    assert not said.agrees_with(Greedy(("a", "b"), (1.0, NEAR)))
