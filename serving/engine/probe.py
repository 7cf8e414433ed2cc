"""The parity probe: is what an engine serves the adapter that was trained?

The reference was written at training time (lmft.train.reference). Three questions, after
docs/decisions/0003-parity.md:

1. Teacher-forced: the mean difference of log-probabilities to the reference is at most a
   tenth of the mean difference between adapter and base; a fiftieth where the base, in the
   same types on the same machines, shows that this is no matter of rounding; and up to twice
   what the trainer has seen rounding do, at most a half.
2. Greedy: tokens differ only where the two best are closer than 0.1 nat, or than rounding
   moves some of them, at most half a nat.
3. Mixed: base, adapter and as many other adapters as there are slots, asked at the same time,
   each give what they give alone.

Which of them are asked when: docs/decisions/0003-parity.md.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from lmft.errors import ProbeFailedError
from lmft.registry.adapters import Adapter
from lmft.registry.difference import mean_difference
from serving.engine.client import EngineClient
from serving.engine.mixed import mixed_difference
from serving.engine.reference import Answers, Reference, ask

# Of the adapter's effect: whatever the types and machines that trained and serve it, and where
# the base is off by less than a fifth of that.
TOLERATED_SHARE, EXACT_SHARE = 0.1, 0.02
_TIMES_THE_BASE = 5
# Two roundings, the trainer's and the engine's; but one that answered as its base must not pass.
_TIMES_THE_ROUNDING, MOST_SHARE = 2, 0.5
NEAR_TIE_NATS = 0.1
# A gap is of two tokens, and one difference in a hundred is some five times their mean.
_TIE_TIMES_THE_ROUNDING, MOST_TIE_NATS = 10, 0.5


class ParityError(ProbeFailedError):
    """It is loaded, and does not answer as in training; merged into its base it may."""


@dataclass(frozen=True)
class ProbeResult:
    """All differences are mean absolute differences of log-probabilities, in nats per token."""

    prompts: int
    tokens: int
    adapter_effect: float
    adapter_difference: float
    base_difference: float
    mixed_difference: float
    greedy_agreement: float
    seconds: float

    def as_dict(self) -> dict[str, float]:
        return {key: round(value, 6) for key, value in asdict(self).items()}


async def probe(
    client: EngineClient, adapter: Adapter, loaded_as: str, base_alias: str, twins: int
) -> ProbeResult:
    """Ask all three questions of an adapter that is loaded as `loaded_as`.

    Args:
        twins: other adapters in the mixed batch; with none of them it is base and adapter.

    Raises:
        ProbeFailedError: with the figure that failed. EngineError: the engine did not answer.
    """
    started = time.monotonic()
    reference = Reference.read(adapter.path)
    if twins:
        base = await ask(client, base_alias, reference.ids, reference.n_greedy)
        alone = await ask(client, loaded_as, reference.ids, reference.n_greedy)
        mixed = await mixed_difference(
            client, adapter, (base_alias, base), (loaded_as, alone), reference.ids, twins
        )
    else:
        base, alone = await asyncio.gather(
            ask(client, base_alias, reference.ids, reference.n_greedy),
            ask(client, loaded_as, reference.ids, reference.n_greedy),
        )
        mixed = mean_difference(base.logprobs, reference.base)
    return _judged(adapter, reference, started, alone, base, mixed)


async def probe_merged(client: EngineClient, adapter: Adapter, alias: str) -> ProbeResult:
    """Questions 1 and 2 of a model that has the adapter in its weights.

    Raises:
        ProbeFailedError: with the figure that failed. EngineError: the engine did not answer.
    """
    started = time.monotonic()
    reference = Reference.read(adapter.path)
    alone = await ask(client, alias, reference.ids, reference.n_greedy)
    return _judged(adapter, reference, started, alone)


async def check(client: EngineClient, adapter: Adapter, loaded_as: str, prompts: int = 2) -> None:
    """Question 1 over the first prompts: the right weights, whole, under the right name.

    For an adapter that this server has proven before. An adapter that answered as the base
    does would be off by its whole effect, twice what is ever allowed.

    Raises:
        ProbeFailedError: with the figure. EngineError: the engine did not answer.
    """
    started = time.monotonic()
    reference = Reference.read(adapter.path, prompts)
    alone = await ask(client, loaded_as, reference.ids, 1)
    _judged(adapter, reference, started, Answers(alone.logprobs, reference.adapter.greedy))


def _judged(
    adapter: Adapter,
    reference: Reference,
    started: float,
    alone: Answers,
    base: Answers | None = None,
    mixed: float = 0.0,
) -> ProbeResult:
    result = ProbeResult(
        prompts=len(reference.ids),
        tokens=sum(map(len, reference.ids)),
        adapter_effect=mean_difference(reference.adapter.logprobs, reference.base),
        adapter_difference=mean_difference(alone.logprobs, reference.adapter.logprobs),
        base_difference=mean_difference(base.logprobs, reference.base) if base else 0.0,
        mixed_difference=mixed,
        greedy_agreement=_agreement(
            alone.greedy,
            reference.adapter.greedy,
            reference.gaps,
            _near_tie_nats(reference.rounding),
        ),
        seconds=time.monotonic() - started,
    )
    base_difference = None if base is None else result.base_difference
    _judge(str(adapter.id), result, base_difference, reference.rounding)
    return result


def _judge(
    name: str, result: ProbeResult, base_difference: float | None, rounding: float = 0.0
) -> None:
    """Args: base_difference: None where the base was not asked. rounding: see Reference."""
    effect = result.adapter_effect
    allowed = max(
        TOLERATED_SHARE * effect, min(MOST_SHARE * effect, _TIMES_THE_ROUNDING * rounding)
    )
    own = allowed
    if base_difference is not None:
        # What rounding does to the base it does to the adapter. More is a part of it left out.
        own = min(allowed, max(EXACT_SHARE * effect, _TIMES_THE_BASE * base_difference))
    faults = [
        f"{label} differ by {value:.4f} nats (allowed: {bound:.4f})"
        for label, value, bound in (
            ("its log-probabilities", result.adapter_difference, own),
            ("the base's log-probabilities", result.base_difference, allowed),
            ("answers in a mixed batch", result.mixed_difference, allowed),
        )
        if not value <= bound
    ]
    if result.greedy_agreement < 1:
        faults.append(f"only {result.greedy_agreement:.0%} of its greedy answers agree")
    if not result.adapter_effect > 0:
        raise ProbeFailedError(
            f"Adapter {name} is not served: it changes nothing, it answers exactly as the base.",
            "Train it again, for longer or at a higher learning rate.",
        )
    if faults:
        raise ParityError(
            f"Adapter {name} is not served: in the engine {'; '.join(faults)}; it changes "
            f"{result.adapter_effect:.4f} nats.",
            "Train it again with this version of lmft; `lmft doctor` shows the versions.",
        )


def _near_tie_nats(rounding: float) -> float:
    return min(MOST_TIE_NATS, max(NEAR_TIE_NATS, _TIE_TIMES_THE_ROUNDING * rounding))


def _agreement(
    answers: Sequence[Sequence[int]],
    reference: Sequence[Sequence[int]],
    gaps: Sequence[Sequence[float]],
    near_tie_nats: float = NEAR_TIE_NATS,
) -> float:
    """The share of prompts whose tokens agree up to the first near-tie that fell the other way."""
    agreeing = 0
    for got, wanted, gap in zip(answers, reference, gaps, strict=True):
        first = next(
            (i for i, pair in enumerate(zip(got, wanted, strict=True)) if pair[0] != pair[1]), None
        )
        agreeing += first is None or gap[first] < near_tie_nats
    return agreeing / len(answers)
