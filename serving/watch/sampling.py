"""Which answers are asked for log-probabilities, to see whether a model drifts.

One with log-probabilities in a batch makes vLLM normalise the logits of the whole batch, so
they are few: every eighth request of a model, and at most one in ten seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

EVERY = 8
MIN_SECONDS_BETWEEN = 10.0


class Sample:
    """Decides for each request of one model."""

    def __init__(self) -> None:
        self._seen = 0
        self._last = -MIN_SECONDS_BETWEEN

    def takes(self, now: float) -> bool:
        """Count a request at `now`, in seconds of any steady clock."""
        due = self._seen % EVERY == 0
        self._seen += 1
        if not due or now - self._last < MIN_SECONDS_BETWEEN:
            return False
        self._last = now
        return True


def with_logprobs(question: Mapping[str, Any]) -> dict[str, Any]:
    """The question, and the log-probability of each token that is chosen."""
    return {**question, "logprobs": 0}


def can_sample(question: Mapping[str, Any]) -> bool:
    """Not where the client asked for log-probabilities itself, which may be of the prompt too."""
    return not question.get("echo") and question.get("logprobs") is None


def chosen_logprobs(logprobs: Mapping[str, Any] | None) -> list[float]:
    """Log-probabilities (nats) of the tokens in one choice's `logprobs` object, as vLLM says it."""
    return [value for value in (logprobs or {}).get("token_logprobs", ()) if value is not None]
