"""How far one model's answers are from another's."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain


def mean_difference(left: Sequence[Sequence[float]], right: Sequence[Sequence[float]]) -> float:
    """The mean absolute difference over all tokens of all prompts, in nats.

    Args:
        left, right: (P, T) log-probabilities.

    Raises:
        ValueError: they are not answers to the same prompts.
    """
    pairs = list(zip(chain(*left), chain(*right), strict=True))
    return sum(abs(a - b) for a, b in pairs) / len(pairs)
