"""Greedy answers of one model, compared as far as its arithmetic lets them be equal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lmft import machine

# In bf16 a token's rank depends on what else is in the batch where two are about as likely; the
# engine's own proof calls at least 0.1 nats near, and more where rounding moves more.
NEAR_TIE_NATS = 0.01 if machine.serving_dtype() == "float32" else 0.25
# What a completion at temperature 0 is asked for besides, to be compared.
LOGPROBS = 5


@dataclass(frozen=True)
class Greedy:
    """Attributes:
    behind: for each token, the likeliest ones and by how many nats each is less likely.
    """

    tokens: tuple[str, ...]
    behind: tuple[Mapping[str, float], ...]

    def agrees_with(self, other: Greedy) -> bool:
        """The same tokens, but for what follows a near tie that fell the other way."""
        if self.tokens == other.tokens:
            return True
        places = zip(self.tokens, other.tokens, self.behind, other.behind, strict=False)
        for mine, theirs, my_behind, their_behind in places:
            if mine != theirs:
                far = my_behind.get(theirs, 1.0), their_behind.get(mine, 1.0)
                return max(far) < NEAR_TIE_NATS
        return False


def greedy(choice: Mapping[str, Any]) -> Greedy:
    """Args: choice: of a completion at temperature 0 with LOGPROBS log-probabilities."""
    scores = choice["logprobs"]
    behind = [
        {token: max(likely.values()) - value for token, value in likely.items()}
        for likely in scores["top_logprobs"]
    ]
    return Greedy(tuple(scores["tokens"]), tuple(behind))
