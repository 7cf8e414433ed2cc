"""One sequence from its prompt to its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from tokenizers import Tokenizer
from torch import Tensor

from serving.engine.local.sampling import Sampler, Sampling
from serving.engine.local.text import GrowingText

FinishReason = Literal["stop", "length"]
# A token with its log-probability in nats, and how many are as likely at least.
Scored = tuple[int, float, int]
# What JSON can hold, as vLLM writes it in place of what it cannot.
_LEAST_LOGPROB = -9999.0
# Rows of logits: a long prompt under a large vocabulary would else fill the memory twice.
_SCORED_AT_ONCE = 256


@dataclass(frozen=True)
class Ask:
    """One prompt to one model.

    Attributes:
        adapter: as the batch calls it. max_tokens: 0 asks for nothing but the prompt's scores.
        logprobs, prompt_logprobs: how many of the best tokens to score beside the real one; None
            for no scores.
    """

    prompt: tuple[int, ...]
    adapter: str
    max_tokens: int
    sampling: Sampling
    stops: tuple[str, ...] = ()
    ignore_eos: bool = False
    logprobs: int | None = None
    prompt_logprobs: int | None = None


@dataclass(frozen=True)
class Piece:
    """What one step adds to an answer; the last one has a reason. `failed`: it has no end."""

    text: str = ""
    tokens: tuple[int, ...] = ()
    scored: tuple[tuple[Scored, ...], ...] = ()
    prompt_scored: tuple[tuple[Scored, ...], ...] | None = None
    finish_reason: FinishReason | None = None
    stop_reason: str | None = None
    failed: bool = False


class Sequence:
    """Attributes:
    ids: the prompt and what was chosen so far. aborted: nobody waits for it any more.
    """

    def __init__(
        self,
        ask: Ask,
        tokenizer: Tokenizer,
        end_id: int,
        device: str,
        emit: Callable[[Piece], None],
    ) -> None:
        self.ask = ask
        self.ids = list(ask.prompt)
        self.finished = False
        self.aborted = False
        self._end_id = end_id
        self._emit = emit
        self._sampler = Sampler(ask.sampling, len(ask.prompt), end_id, device)
        self._text = GrowingText(tokenizer, ask.prompt, ask.stops, ask.sampling.min_tokens)

    @property
    def most_tokens(self) -> int:
        """With an answer as long as it may become."""
        return len(self.ask.prompt) + self.ask.max_tokens

    def begin(self, logits_TV: Tensor) -> None:
        """Take the prompt's logits: its scores, and the first token."""
        wanted, prompt = self.ask.prompt_logprobs, self.ask.prompt
        scored = None if wanted is None else score(logits_TV[:-1], prompt[1:], wanted)
        if self.ask.max_tokens:
            self._advance(logits_TV[-1], scored)
        else:
            self.finished = True
            self._emit(Piece(prompt_scored=scored, finish_reason="length"))

    def accept(self, logits_V: Tensor) -> None:
        """Choose the next token."""
        self._advance(logits_V, None)

    def fail(self) -> None:
        self.finished = True
        self._emit(Piece(failed=True))

    def _advance(
        self, logits_V: Tensor, prompt_scored: tuple[tuple[Scored, ...], ...] | None
    ) -> None:
        token = self._sampler.choose(self.ids, logits_V)
        scored: tuple[tuple[Scored, ...], ...] = ()
        if self.ask.logprobs is not None:
            scored = score(logits_V[None], (token,), self.ask.logprobs)
        self.ids.append(token)
        reason = self._reason(token)
        self.finished = reason is not None
        self._emit(
            Piece(
                self._text.take(finished=self.finished),
                (token,),
                scored,
                prompt_scored,
                reason,
                self._text.stop,
            )
        )

    def _reason(self, token: int) -> FinishReason | None:
        if token == self._end_id and not self.ask.ignore_eos:
            return "stop"
        self._text.add(token)
        if self._text.stop is not None:
            return "stop"
        return "length" if len(self.ids) >= self.most_tokens else None


def score(logits_NV: Tensor, tokens: tuple[int, ...], best: int) -> tuple[tuple[Scored, ...], ...]:
    """For each row its token, then the `best` tokens, under the model as it is: no sampler."""
    starts = range(0, len(tokens), _SCORED_AT_ONCE)
    parts = (slice(start, start + _SCORED_AT_ONCE) for start in starts)
    return tuple(row for part in parts for row in _score(logits_NV[part], tokens[part], best))


def _score(logits_NV: Tensor, tokens: tuple[int, ...], best: int) -> Iterator[tuple[Scored, ...]]:
    logprobs_NV = torch.log_softmax(logits_NV, dim=-1)
    tokens_N1 = torch.tensor(tokens, device=logits_NV.device)[:, None]
    own_N1 = logprobs_NV.gather(1, tokens_N1)
    ranks = (logprobs_NV >= own_N1).sum(1).tolist()
    top = torch.topk(logprobs_NV, best, dim=1)
    rows = zip(
        tokens, own_N1[:, 0].tolist(), ranks, top.indices.tolist(), top.values.tolist(), strict=True
    )
    for token, own, rank, others, values in rows:
        yield (
            (token, _speakable(own), rank),
            *(
                (other, _speakable(value), place)
                for place, (other, value) in enumerate(zip(others, values, strict=True), 1)
            ),
        )


def _speakable(logprob: float) -> float:
    # Not `max`: of what is no number it would give whichever comes first.
    return logprob if logprob > _LEAST_LOGPROB else _LEAST_LOGPROB
