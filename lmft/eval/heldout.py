"""Held-out loss in nats per byte: comparable across tokenizers, bases and corpora."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from lmft.dataset.encode import Encoded

Window = tuple[list[int], list[bool]]


def heldout_nats_per_byte(
    model: Any, documents: Sequence[Encoded], eos_id: int, window_tokens: int, batch: int = 8
) -> float:
    """Sum of -ln p over the documents' trained tokens, divided by those tokens' share of bytes.

    Every trained token is scored once, after end-of-text and at most `window_tokens` - 1
    tokens of its own document; end-of-text itself is not scored. For a conversation the
    bytes are the ones of the trained words, taken as the trained share of the tokens.
    """
    nats, n_bytes = 0.0, 0.0
    for document in documents:
        words = document.ids != eos_id
        n_counted = int((words & document.trained).sum())
        n_bytes += document.n_bytes * n_counted / max(1, int(words.sum()))
    windows = [
        window for document in documents for window in _windows(document, eos_id, window_tokens)
    ]
    windows.sort(key=lambda window: len(window[0]))
    was_training = model.training
    model.eval()
    try:
        for start in range(0, len(windows), batch):
            nats += _score(model, windows[start : start + batch])
    finally:
        model.train(was_training)
    return nats / max(n_bytes, 1.0)


def _windows(document: Encoded, eos_id: int, window_tokens: int) -> Iterator[Window]:
    ids = [eos_id, *document.ids.tolist()]
    scored = [False, *((document.ids != eos_id) & document.trained).tolist()]
    # Half of each later window is context that was scored before.
    stride = window_tokens // 2
    start, done = 0, 1
    while done < len(ids):
        end = min(start + window_tokens, len(ids))
        flags = [index >= done and scored[index] for index in range(start, end)]
        yield ids[start:end], flags
        done = end
        start = end - stride


@torch.inference_mode()
def _score(model: Any, windows: list[Window]) -> float:
    """Summed nats of some windows, padded on the right, where causal attention never looks."""
    length = max(len(ids) for ids, _ in windows)
    device = next(model.parameters()).device
    ids_BT = torch.tensor([ids + [0] * (length - len(ids)) for ids, _ in windows], device=device)
    flags_BT = torch.tensor(
        [flags + [False] * (length - len(flags)) for _, flags in windows], device=device
    )
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=model.dtype == torch.bfloat16)
    with autocast:
        logits_BTV = model(input_ids=ids_BT, use_cache=False).logits[:, :-1]
    logprobs_BT = torch.log_softmax(logits_BTV.float(), dim=-1)
    picked_BT = logprobs_BT.gather(-1, ids_BT[:, 1:, None]).squeeze(-1)
    return float(-(picked_BT * flags_BT[:, 1:]).sum())
