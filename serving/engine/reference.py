"""What the trainer wrote down of an adapter's answers, and how an engine is asked for the same."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmft.errors import ProbeFailedError
from serving.engine.client import EngineClient

REFERENCE_FILE = "probe.json"


@dataclass(frozen=True)
class Answers:
    """One model's answers: `logprobs` (P, T-1) of the prompts' tokens, `greedy` (P, G) tokens."""

    logprobs: list[list[float]]
    greedy: list[list[int]]


@dataclass(frozen=True)
class Reference:
    """What the trainer wrote: token ids (P, T) and the answers of base and adapter to them.

    Attributes:
        rounding: how far, on average and in nats, the adapter's log-probabilities went where
            they were rounded at other places; 0 where an older trainer did not say.
    """

    ids: list[list[int]]
    base: list[list[float]]
    adapter: Answers
    gaps: list[list[float]]
    rounding: float

    @classmethod
    def read(cls, directory: Path, limit: int | None = None) -> Reference:
        """Raises ProbeFailedError when there is nothing in it to compare with.

        Args:
            limit: the first so many prompts only.
        """
        try:
            written = json.loads((directory / REFERENCE_FILE).read_text(encoding="utf-8"))
            prompts = written["prompts"][:limit]
            reference = cls(
                ids=[prompt["token_ids"] for prompt in prompts],
                base=[prompt["base_logprobs"] for prompt in prompts],
                adapter=Answers(
                    [prompt["adapter_logprobs"] for prompt in prompts],
                    [prompt["greedy_tokens"] for prompt in prompts],
                ),
                gaps=[prompt["greedy_gaps"] for prompt in prompts],
                rounding=written.get("rounding_nats", 0.0),
            )
            reference._require_comparable()
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise ProbeFailedError(
                f"The {REFERENCE_FILE} of {directory.name} cannot be used: nothing proves that "
                "adapter.",
                "Train it again.",
            ) from error
        return reference

    @property
    def n_greedy(self) -> int:
        return len(self.adapter.greedy[0])

    def _require_comparable(self) -> None:
        """Raises ValueError, LookupError or TypeError unless each number has its counterpart."""
        rows = zip(
            self.ids,
            self.base,
            self.adapter.logprobs,
            self.adapter.greedy,
            self.gaps,
            strict=True,
        )
        # What is allowed for comes of it: neither infinity nor no number may.
        if type(self.rounding) not in (int, float) or not 0 <= self.rounding < math.inf:
            raise TypeError("a rounding that is no number of nats")
        n_greedy = self.n_greedy
        for ids, base, adapter, greedy, gaps in rows:
            if not len(ids) - 1 == len(base) == len(adapter) > 0:
                raise ValueError("log-probabilities of other tokens than the prompt's")
            if not n_greedy == len(greedy) == len(gaps) > 0:
                raise ValueError("greedy answers of unequal length")
            if not all(type(token) is int for token in (*ids, *greedy)):
                raise TypeError("a token that is no number")
            if not all(type(value) in (int, float) for value in (*base, *adapter, *gaps)):
                raise TypeError("a log-probability that is no number")


async def ask(client: EngineClient, model: str, ids: list[list[int]], n_greedy: int) -> Answers:
    body: dict[str, Any] = {
        "model": model,
        "prompt": ids,
        "temperature": 0,
        "max_tokens": n_greedy,
        "ignore_eos": True,
        "prompt_logprobs": 0,
        "return_token_ids": True,
    }
    choices = (await client.json("/v1/completions", body))["choices"]
    choices.sort(key=lambda choice: choice["index"])
    logprobs = [
        [
            position[str(token)]["logprob"]
            for token, position in zip(prompt[1:], choice["prompt_logprobs"][1:], strict=True)
        ]
        for prompt, choice in zip(ids, choices, strict=True)
    ]
    return Answers(logprobs, [choice["token_ids"] for choice in choices])
