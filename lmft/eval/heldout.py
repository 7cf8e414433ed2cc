"""Held-out loss in nats per byte: comparable across tokenizers, bases and corpora; and how many
tokens the model had right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from lmft.dataset.encode import Encoded, Encoder

_BATCH_TOKENS = 4096


class Heldout(NamedTuple):
    """Attributes:
    nats_per_byte: sum of -ln p over the documents' trained tokens, divided by those tokens' share
        of bytes.
    token_accuracy: the share of those tokens that were the likeliest in their place.
    """

    nats_per_byte: float
    token_accuracy: float


def score_heldout(
    model: Any, documents: Sequence[Encoded], encoder: Encoder, window_tokens: int
) -> Heldout:
    """Score the documents' trained tokens.

    Every trained token is scored once, after the token that a document starts with and at most
    `window_tokens` - 1 tokens of its own document; end-of-text itself is not scored. For a
    conversation the bytes are the ones of the trained words, taken as the trained share of the
    tokens.

    Args:
        model: with lmft.train.fast installed.
        window_tokens: at least 2.
    """
    nats, n_right, n_tokens, n_bytes = 0.0, 0.0, 0, 0.0
    for document in documents:
        words = document.ids != encoder.eos_id
        n_counted = int((words & document.trained).sum())
        n_tokens += n_counted
        n_bytes += document.n_bytes * n_counted / max(1, int(words.sum()))
    windows = [
        window for document in documents for window in _windows(document, encoder, window_tokens)
    ]
    windows.sort(key=lambda window: window.n_tokens)
    was_training = model.training
    model.eval()
    try:
        for batch in _batches(windows):
            batch_nats, batch_right = _score(model, batch, encoder)
            nats += batch_nats
            n_right += batch_right
    finally:
        model.train(was_training)
    return Heldout(nats / max(n_bytes, 1.0), n_right / max(n_tokens, 1))


class _Window(NamedTuple):
    """Tokens `begin` to `end` of a document, scored from `done` on, perhaps after a start token."""

    document: Encoded
    begin: int
    done: int
    end: int
    starts: bool

    @property
    def n_tokens(self) -> int:
        return self.starts + self.end - self.begin


def _windows(document: Encoded, encoder: Encoder, window_tokens: int) -> Iterator[_Window]:
    # Half of each later window is context that was scored before.
    n_context = (window_tokens - encoder.always_start) // 2
    begin = done = 0
    while done < len(document.ids):
        starts = done == 0 or encoder.always_start
        end = min(begin + window_tokens - starts, len(document.ids))
        yield _Window(document, begin, done, end, starts)
        done = end
        begin = end - n_context


def _batches(windows: Sequence[_Window]) -> Iterator[Sequence[_Window]]:
    """Rising lengths, so that a batch's last window is its longest."""
    start = 0
    for end in range(1, len(windows) + 1):
        if end == len(windows) or (end + 1 - start) * windows[end].n_tokens > _BATCH_TOKENS:
            yield windows[start:end]
            start = end


@torch.no_grad()
def _score(model: Any, windows: Sequence[_Window], encoder: Encoder) -> list[float]:
    """Summed nats of some windows, and how many tokens of them were the likeliest.

    Padded on the right, where causal attention never looks.
    """
    shape = (len(windows), windows[-1].n_tokens)
    ids_BT, scored_BT = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.bool_)
    for ids, scored, (document, begin, done, end, starts) in zip(
        ids_BT, scored_BT, windows, strict=True
    ):
        ids[:starts] = encoder.start_id
        ids[starts : starts + end - begin] = document.ids[begin:end]
        scored[starts + done - begin : starts + end - begin] = document.trained[done:end]
        scored &= ids != encoder.eos_id
    rows, columns = np.nonzero(scored_BT[:, 1:])
    device = next(model.parameters()).device
    found_2: torch.Tensor = model(
        input_ids=torch.from_numpy(ids_BT).to(device),
        picked=torch.from_numpy(rows * shape[1] + columns).to(device),
        targets=torch.from_numpy(ids_BT[rows, columns + 1]).to(device),
        counted=True,
    )
    return found_2.tolist()
