"""From logits to a token, with the meaning that vLLM gives to the sampler's fields.

In vLLM's order: the ban on an early end, bias, penalties, then the best token, or temperature,
min_p, top_k, top_p and chance. What transformers has a processor for is left to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import (
    MinNewTokensLengthLogitsProcessor,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)
from transformers.generation.logits_process import LogitsProcessor, LogitsProcessorList

# Below it vLLM takes the best token.
_GREEDY_BELOW = 1e-5


@dataclass(frozen=True)
class Sampling:
    """The sampler's fields of a request; the values here change nothing.

    Attributes:
        top_k: below 1 for all tokens.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    seed: int | None = None
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    logit_bias: tuple[tuple[int, float], ...] = ()
    min_tokens: int = 0


class Sampler:
    """Chooses the tokens of one sequence."""

    def __init__(self, sampling: Sampling, n_prompt: int, end_id: int, device: str) -> None:
        self._greedy = sampling.temperature < _GREEDY_BELOW
        self._generator: torch.Generator | None = None
        if sampling.seed is not None:
            self._generator = torch.Generator(device).manual_seed(sampling.seed)
        self._before = LogitsProcessorList(_before(sampling, n_prompt, end_id, device))
        self._after = LogitsProcessorList(() if self._greedy else _after(sampling))

    def choose(self, ids: list[int], logits_V: Tensor) -> int:
        """The token after `ids`, prompt and answer so far. Leaves `logits_V` as it is."""
        if self._greedy and not self._before:
            return int(logits_V.argmax())
        ids_1T = torch.tensor([ids], device=logits_V.device)
        scores_1V = self._before(ids_1T, logits_V[None].clone())
        if self._greedy:
            return int(scores_1V.argmax())
        chances_1V = torch.softmax(self._after(ids_1T, scores_1V), dim=-1)
        return int(torch.multinomial(chances_1V, 1, generator=self._generator))


def _before(
    sampling: Sampling, n_prompt: int, end_id: int, device: str
) -> Iterator[LogitsProcessor]:
    """What can change which token is the best."""
    if sampling.min_tokens:
        yield MinNewTokensLengthLogitsProcessor(n_prompt, sampling.min_tokens, end_id, device)
    if sampling.logit_bias:
        yield _Bias(sampling.logit_bias, device)
    if sampling.repetition_penalty != 1:
        yield RepetitionPenaltyLogitsProcessor(sampling.repetition_penalty)
    if sampling.presence_penalty or sampling.frequency_penalty:
        yield _Counted(sampling.presence_penalty, sampling.frequency_penalty, n_prompt)


def _after(sampling: Sampling) -> Iterator[LogitsProcessor]:
    """What only chance feels."""
    if sampling.temperature != 1:
        yield TemperatureLogitsWarper(sampling.temperature)
    if sampling.min_p:
        yield MinPLogitsWarper(sampling.min_p)
    if sampling.top_k > 0:
        yield TopKLogitsWarper(sampling.top_k)
    if sampling.top_p < 1:
        yield TopPLogitsWarper(sampling.top_p)


class _Bias(LogitsProcessor):  # type: ignore[misc]  # transformers is Any to mypy
    """Adds to the logits of some tokens."""

    def __init__(self, bias: tuple[tuple[int, float], ...], device: str) -> None:
        self._tokens = torch.tensor([token for token, _ in bias], device=device)
        self._values = torch.tensor([value for _, value in bias], device=device)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        return scores.index_add(1, self._tokens, self._values[None])


class _Counted(LogitsProcessor):  # type: ignore[misc]
    """OpenAI's penalties: for being in the answer so far, and for each time that it is."""

    def __init__(self, presence: float, frequency: float, n_prompt: int) -> None:
        self._presence, self._frequency, self._n_prompt = presence, frequency, n_prompt

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        said = input_ids[0, self._n_prompt :]
        counts_V = torch.bincount(said, minlength=scores.shape[-1]).to(scores)
        return scores - self._frequency * counts_V - self._presence * (counts_V > 0)
