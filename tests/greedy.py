"""Greedy answers of one model, compared as far as its arithmetic lets them be equal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# In bf16 a token's rank depends on what else is in the batch where two are about as likely; the
# engine's own proof calls at least 0.1 nats near, and more where rounding moves more.
NEAR_TIE_NATS = 0.25


@dataclass(frozen=True)
class Greedy:
    """Attributes:
    gaps: for each token, the nats between it and the second best.
    """

    tokens: tuple[str, ...]
    gaps: tuple[float, ...]

    def agrees_with(self, other: Greedy) -> bool:
        """The same tokens, but for what follows a near tie that fell the other way."""
        if self.tokens == other.tokens:
            return True
        pairs = enumerate(zip(self.tokens, other.tokens, strict=False))
        first = next((at for at, (mine, theirs) in pairs if mine != theirs), None)
        return first is not None and max(self.gaps[first], other.gaps[first]) < NEAR_TIE_NATS


def greedy(choice: Mapping[str, Any]) -> Greedy:
    """Args: choice: of a completion at temperature 0 with two log-probabilities."""
    scores = choice["logprobs"]
    gaps = []
    for best in scores["top_logprobs"]:
        first, second = sorted(best.values(), reverse=True)[:2]
        gaps.append(first - second)
    return Greedy(tuple(scores["tokens"]), tuple(gaps))
