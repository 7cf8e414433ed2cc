"""How good a base is: nats per byte of text that it has not seen, and what it writes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy

_BATCH_TOKENS = 4096


@torch.no_grad()
def nats_per_byte(model: Any, tokens_N: NDArray[Any], n_bytes: int, block_tokens: int) -> float:
    """-ln p of the tokens, each seen after those of its block of `block_tokens`, divided by the
    bytes of the text. A token that begins a block is scored as the last of the block before."""
    was_training, device = model.training, next(model.parameters()).device
    model.eval()
    total = 0.0
    ids = torch.from_numpy(np.asarray(tokens_N).astype(np.int64))
    n_rows = (len(ids) - 1) // block_tokens
    rows = max(1, _BATCH_TOKENS // block_tokens)
    for first in range(0, n_rows, rows):
        count = min(rows, n_rows - first)
        piece = ids[first * block_tokens : (first + count) * block_tokens + 1].to(device)
        inputs_BT = piece[:-1].view(count, block_tokens)
        logits_BTV = model(inputs_BT, use_cache=False).logits
        total += cross_entropy(logits_BTV.flatten(0, 1).float(), piece[1:], reduction="sum").item()
    rest = ids[n_rows * block_tokens :]
    if len(rest) > 1:
        logits_BTV = model(rest[None, :-1].to(device), use_cache=False).logits
        total += cross_entropy(logits_BTV[0].float(), rest[1:].to(device), reduction="sum").item()
    model.train(was_training)
    return total / n_bytes


@torch.no_grad()
def sample(
    model: Any, prompt_T: list[int], n_tokens: int, seed: int, temperature: float = 0.8
) -> list[int]:
    """`n_tokens` after the prompt, drawn from the 40 likeliest each."""
    device = next(model.parameters()).device
    generator = torch.Generator(device).manual_seed(seed)
    ids = torch.tensor([prompt_T], device=device)
    was_training = model.training
    model.eval()
    for _ in range(n_tokens):
        window = ids[:, -model.config.n_positions :]
        logits_V = model(window, use_cache=False).logits[0, -1].float() / temperature
        likely, at = logits_V.topk(40)
        drawn = torch.multinomial(likely.softmax(0), 1, generator=generator)
        ids = torch.cat([ids, at[drawn][None]], 1)
    model.train(was_training)
    return ids[0, len(prompt_T) :].tolist()
