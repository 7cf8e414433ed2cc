"""What the adapter writes: fixed prompts, fixed seeds, unedited."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import torch

from lmft.dataset.encode import Encoded, Encoder
from lmft.format.contract import FormatContract, SamplerDefaults

N_SAMPLES = 3
PROMPT_TOKENS = 48
# To hand the tiny operations of one token to other threads takes longer than to do them: on a
# busy machine of two cores the embedded base wrote 14 times as fast on one thread as on two.
_ONE_THREAD_PARAMETERS = 100_000_000


@torch.inference_mode()
def sample(
    model: Any,
    heldout: Sequence[Encoded],
    encoder: Encoder,
    contract: FormatContract,
    max_tokens: int | None = None,
) -> list[dict[str, Any]]:
    """Continue the beginnings of held-out documents; seeds 1, 2, 3.

    Tokens are drawn by generators of their own: the global random state is neither used nor
    changed. The model must be in evaluation mode.

    Args:
        max_tokens: of each sample, at most the contract's own number; None is that number.
    """
    wanted = contract.sampler.max_tokens
    wanted = wanted if max_tokens is None else min(wanted, max_tokens)
    prompts = [_prompt(document, encoder) for document in heldout[:N_SAMPLES]]
    numbered = sorted(enumerate(prompts, 1), key=lambda one: len(one[1]))
    written: dict[int, list[int]] = {}
    with _fitting_threads(model):
        for length, group in groupby(numbered, lambda one: len(one[1])):
            seeds, ids = zip(*group, strict=True)
            room = min(wanted, contract.context_length - length)
            continued = _continue(model, ids, seeds, contract.sampler, room, encoder.eos_id)
            written.update(zip(seeds, continued, strict=True))
    return [
        {"seed": seed, "prompt": encoder.decode(ids), "text": encoder.decode(written[seed])}
        for seed, ids in enumerate(prompts, 1)
    ]


@contextlib.contextmanager
def _fitting_threads(model: Any) -> Iterator[None]:
    n_threads = torch.get_num_threads()
    if sum(parameter.numel() for parameter in model.parameters()) < _ONE_THREAD_PARAMETERS:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)


def _prompt(document: Encoded, encoder: Encoder) -> list[int]:
    """As a prompt begins in service: the start token where a text begins, or always."""
    start = [encoder.start_id] if document.begins or encoder.always_start else []
    return [*start, *document.ids[:PROMPT_TOKENS].tolist()]


def _continue(
    model: Any,
    prompts: Sequence[list[int]],
    seeds: Sequence[int],
    sampler: SamplerDefaults,
    max_tokens: int,
    eos_id: int,
) -> list[list[int]]:
    """What follows each of the prompts (B, T), all of one length; a forward call a token."""
    device = next(model.parameters()).device
    ids_BT = torch.tensor(prompts, device=device)
    generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]
    length = ids_BT.shape[1]
    cache, fresh_BT = None, ids_BT
    ended_B = torch.zeros(len(prompts), dtype=torch.bool, device=device)
    for _ in range(max_tokens):
        output = model(input_ids=fresh_BT, past_key_values=cache, use_cache=True)
        cache = output.past_key_values
        weights_BV = _weights(output.logits[:, -1].float(), ids_BT, sampler)
        fresh_BT = torch.stack(
            [
                torch.multinomial(weights_V, 1, generator=generator)
                for weights_V, generator in zip(weights_BV, generators, strict=True)
            ]
        )
        ids_BT = torch.cat([ids_BT, fresh_BT], dim=1)
        ended_B |= fresh_BT[:, 0] == eos_id
        if ended_B.all():
            break
    return [_until(ids[length:], eos_id) for ids in ids_BT.tolist()]


def _weights(
    logits_BV: torch.Tensor, ids_BT: torch.Tensor, sampler: SamplerDefaults
) -> torch.Tensor:
    """What to draw from, in vLLM's order: repetition penalty, temperature, nucleus (top_p)."""
    seen_BT = logits_BV.gather(1, ids_BT)
    penalty = sampler.repetition_penalty
    seen_BT = torch.where(seen_BT > 0, seen_BT / penalty, seen_BT * penalty)
    logits_BV = logits_BV.scatter(1, ids_BT, seen_BT)
    if sampler.temperature == 0:
        best_B = logits_BV.argmax(dim=-1)
        return torch.nn.functional.one_hot(best_B, logits_BV.shape[-1]).float()
    probs_BV = torch.softmax(logits_BV / sampler.temperature, dim=-1)
    ranked_BV, order_BV = probs_BV.sort(dim=-1, descending=True)
    # A token stays while those before it have not filled the nucleus: the best always does.
    ranked_BV[ranked_BV.cumsum(dim=-1) - ranked_BV >= sampler.top_p] = 0
    return torch.zeros_like(probs_BV).scatter(1, order_BV, ranked_BV)


def _until(ids: list[int], eos_id: int) -> list[int]:
    return ids[: ids.index(eos_id)] if eos_id in ids else ids
