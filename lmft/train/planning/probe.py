"""A look at the real speed: forward and backward passes of the real model on real blocks."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterator
from typing import Any

import torch

from lmft.dataset.blocks import Blocks
from lmft.train.batches import Collate
from lmft.train.model import load_trainable
from lmft.train.planning.plan import Plan
from lmft.train.prepare import Job

# The first pass warms up: kernels are chosen, memory is fetched, blocks are compiled.
_PASSES = 2
_SECONDS = 3.0


def probe_job(job: Job) -> float:
    """Tokens a second of the job's model, loaded for this alone."""
    training = job.recipe.training
    model = load_trainable(job.base, job.plan, job.recipe.lora, training.seed)
    return tokens_per_second(model, job.blocks, job.plan)


def tokens_per_second(model: Any, blocks: Blocks, plan: Plan) -> float:
    """Measured over some passes, the first not counted; the optimizer's share is too small to.

    Nothing is learnt: weights, gradients, mode and random states are as before.

    Args:
        model: with lmft.train.fast installed.
    """
    device = next(model.parameters()).device
    collate = Collate(blocks)
    was_training = model.training
    model.train()
    # A text may be shorter than a pass.
    numbers = list(itertools.islice(itertools.cycle(range(len(blocks.ids_NT))), plan.micro_blocks))
    batch = {
        key: value.to(device) if isinstance(value, torch.Tensor) else value
        for key, value in collate(numbers).items()
    }
    times: list[float] = []
    cuda = [device] if device.type == "cuda" else []
    try:
        with torch.random.fork_rng(cuda), _checkpointing(model, plan.activation_checkpointing):
            while len(times) <= _PASSES and sum(times[1:]) < _SECONDS:
                start = time.perf_counter()
                model(**batch).backward()
                if cuda:
                    torch.cuda.synchronize(device)
                times.append(time.perf_counter() - start)
    finally:
        model.train(was_training)
        model.zero_grad(set_to_none=True)
    return plan.micro_blocks * plan.block_tokens / min(times[1:])


@contextlib.contextmanager
def _checkpointing(model: Any, wanted: bool) -> Iterator[None]:
    if not wanted:
        yield
        return
    model.gradient_checkpointing_enable({"use_reentrant": False})
    model.enable_input_require_grads()
    try:
        yield
    finally:
        model.disable_input_require_grads()
        model.gradient_checkpointing_disable()
