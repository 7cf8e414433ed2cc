"""Log-probabilities of answers, under the model as it is and under its reference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from lmft.dataset.blocks import IGNORED
from lmft.dataset.pairs import Answer
from lmft.train.continued import start_from
from lmft.train.fast.segments import set_segments
from lmft.train.preference.batches import Batch, pad

# As many as a step of training has at once; log-probabilities need less memory than it.
_BATCH_TOKENS = {"cpu": 2048, "cuda": 16384}


@torch.no_grad()
def answer_logprobs(model: Any, answers: Sequence[Answer]) -> torch.Tensor:
    """(N,) summed log-probability (nats) of each answer's scored tokens, on the CPU in fp32.

    Args:
        model: with TRL's fused head (`trl.trainer.utils.add_fused_lm_head`).
    """
    device = next(model.parameters()).device
    logprobs_N = torch.zeros(len(answers))
    was_training = model.training
    model.eval()
    set_segments(None)
    try:
        for numbers in _batches(answers, _BATCH_TOKENS[device.type]):
            batch = pad([answers[number] for number in numbers])
            inputs = {key: value.to(device) for key, value in batch.items()}
            logprobs_N[numbers] = _summed(model, inputs).float().cpu()
    finally:
        model.train(was_training)
    return logprobs_N


@contextmanager
def reference_weights(model: Any, parent: Path | None) -> Iterator[None]:
    """Within it the model is its own reference: the adapter at `parent`, or else the base.

    The base is the model with B of every LoRA at zero, which takes the same way through the
    same operations, so that a fresh LoRA differs from it by nothing, not by rounding.
    """
    trainable = {name: each for name, each in model.named_parameters() if each.requires_grad}
    kept = {name: each.detach().clone() for name, each in trainable.items()}
    try:
        if parent is not None:
            start_from(model, parent)
        else:
            for name, each in trainable.items():
                if ".lora_B." in name:
                    each.data.zero_()
        yield
    finally:
        for name, each in trainable.items():
            each.data.copy_(kept[name])


def _summed(model: Any, batch: Batch) -> torch.Tensor:
    labels_BT = batch["input_ids"].masked_fill(batch["completion_mask"] == 0, IGNORED)
    out = model(
        input_ids=batch["input_ids"],
        attention_mask=batch["attention_mask"],
        labels=labels_BT,
        fused_lm_head=True,
    )
    total_B: torch.Tensor = out.log_probs.sum(dim=1)
    return total_B


def _batches(answers: Sequence[Answer], max_tokens: int) -> Iterator[list[int]]:
    """Numbers of answers of like length, at most `max_tokens` with the filling."""
    order = sorted(range(len(answers)), key=lambda number: len(answers[number].ids))
    batch: list[int] = []
    for number in order:
        if batch and (len(batch) + 1) * len(answers[number].ids) > max_tokens:
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch
