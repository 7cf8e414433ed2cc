"""When and on what a training is measured, at a bounded price, without disturbing it."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from lmft.dataset.encode import Encoded
from lmft.eval.heldout import Heldout, score_heldout
from lmft.eval.samples import sample
from lmft.train.prepare import Job

_MAX_WINDOW = 1024
# Of the computing between two evaluations: so much for the held-out loss, so much for samples.
_HELDOUT_SHARE, _SAMPLE_SHARE = 0.10, 0.05
# A frozen base trains in two forward passes' worth of arithmetic; measuring takes one.
_FORWARDS_PER_TRAINED_TOKEN = 2
# Writing a token takes about as long as a forward pass over so many at once: it reads all weights
# and uses little of the hardware. (Measured on the embedded base; expected of a GPU.)
_TOKENS_PER_WRITTEN = {"cpu": 128, "cuda": 2048}
_SHORT_SAMPLE, _SHORTEST_SAMPLE = 32, 8
# The first and the last samples, which a person compares, may be so many times as long.
_LONG_SAMPLE = 3


@dataclass(frozen=True)
class Scope:
    """What an evaluation between the first and the last looks at; those two measure everything.

    It follows from the job alone, not from the clock: every process of a run, and every attempt
    at it, does the same.

    Attributes:
        documents: of the held-out ones, all or as many as the budget allows; the loss curve is
            over these.
        sample_tokens: of each sample; 0 writes none. end_sample_tokens: of the first and last.
    """

    documents: tuple[Encoded, ...]
    sample_tokens: int
    end_sample_tokens: int
    n_heldout: int

    @property
    def is_everything(self) -> bool:
        return len(self.documents) == self.n_heldout

    @property
    def reason(self) -> str:
        """Why it is less than everything; empty where it is not."""
        if self.is_everything:
            return ""
        return (
            f"held-out loss between start and end: on {len(self.documents)} of {self.n_heldout} "
            f"documents, as all would take more than {_HELDOUT_SHARE:.0%} of the training"
        )


def places(steps: int, evaluations: int) -> list[int]:
    """Step 0, and the ends of `evaluations` equal parts of the run."""
    return sorted({round(steps * part / evaluations) for part in range(evaluations + 1)})


def choose_scope(job: Job) -> Scope:
    """As many documents and sample tokens as keep an evaluation within its share."""
    plan, training = job.plan, job.recipe.training
    budget = _FORWARDS_PER_TRAINED_TOKEN * plan.tokens // training.evaluations
    documents = _affordable(job.heldout, int(_HELDOUT_SHARE * budget), window_tokens(job))
    affordable = int(_SAMPLE_SHARE * budget) // _TOKENS_PER_WRITTEN[plan.device]
    wanted = job.contract.sampler.max_tokens
    short = min(affordable, _SHORT_SAMPLE, wanted)
    return Scope(
        documents,
        short if short >= _SHORTEST_SAMPLE else 0,
        min(max(_LONG_SAMPLE * affordable, _SHORTEST_SAMPLE), wanted),
        len(job.heldout),
    )


def window_tokens(job: Job) -> int:
    return min(job.base.context_length, _MAX_WINDOW)


def _affordable(
    documents: Sequence[Encoded], budget_tokens: int, window: int
) -> tuple[Encoded, ...]:
    """The documents in their order, or a fixed choice of them that fits: at least the shortest."""

    def cost(document: Encoded) -> int:
        # Windows of a long document overlap by half.
        length = len(document.ids)
        return length if length <= window else 2 * length

    if sum(map(cost, documents)) <= budget_tokens:
        return tuple(documents)
    chosen = set()
    for number in np.random.default_rng(0).permutation(len(documents)).tolist():
        if cost(documents[number]) <= budget_tokens:
            chosen.add(number)
            budget_tokens -= cost(documents[number])
    if not chosen:
        return (min(documents, key=cost),)
    return tuple(documents[number] for number in sorted(chosen))


def measured(model: Any, job: Job, documents: Sequence[Encoded]) -> Heldout:
    """See lmft.eval.heldout."""
    return score_heldout(model, documents, job.encoder, window_tokens(job))


def samples(model: Any, job: Job, max_tokens: int) -> list[dict[str, Any]]:
    """See lmft.eval.samples."""
    return sample(model, job.heldout, job.encoder, job.contract, max_tokens)


@contextlib.contextmanager
def undisturbed(model: Any) -> Iterator[None]:
    """Evaluation mode inside; afterwards mode and random state are what they were, exactly.

    Compiled regions run as plain ones: they are made for the shapes of training, and each other
    shape would compile them anew.
    """
    modes = [(module, module.training) for module in model.modules()]
    python, numpy = random.getstate(), np.random.get_state()
    devices = range(torch.cuda.device_count()) if torch.cuda.is_available() else []
    model.eval()
    try:
        with torch.random.fork_rng(devices), torch.compiler.set_stance("force_eager"):
            yield
    finally:
        for module, training in modes:
            module.training = training
        random.setstate(python)
        np.random.set_state(numpy)
