"""Sequences that run together: one forward call gives each its next token.

Rows of any adapter and of the base stand in one batch. Keys and values are padded on the left, so
that the newest token of every row is in the same column; the padding is masked, and positions
count without it.
"""

from __future__ import annotations

import logging

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import DynamicCache

from serving.engine.local.model import BASE, Model
from serving.engine.local.sequence import Sequence

log = logging.getLogger("lmft.engine.local")


class Batch:
    """Args:
    room_bytes: for keys and values. max_adapters: different ones in one batch.

    Attributes:
        n_read: tokens of prompts so far. n_chosen: tokens of answers.
    """

    def __init__(self, model: Model, room_bytes: int, max_adapters: int) -> None:
        self._model = model
        self._room_tokens = room_bytes // model.token_bytes
        self._max_adapters = max_adapters
        self.n_read = self.n_chosen = 0
        self._rows: list[Sequence] = []
        self._cache: DynamicCache | None = None

    @property
    def rows(self) -> tuple[Sequence, ...]:
        return tuple(self._rows)

    def takes(self, sequence: Sequence) -> bool:
        """Whether it fits beside those that run; an empty batch takes anything."""
        together = [*self._rows, sequence]
        tokens = len(together) * max(row.most_tokens for row in together)
        adapters = {row.ask.adapter for row in together} - {BASE}
        fits = tokens <= self._room_tokens and len(adapters) <= self._max_adapters
        return fits or not self._rows

    def join(self, sequence: Sequence) -> None:
        """Read its prompt and choose its first token; it runs with the others from then on."""
        ask = sequence.ask
        if not self._model.has(ask.adapter):
            # Unloaded since it was asked for; the base must not answer for it.
            sequence.fail()
            return
        try:
            logits_TV, cache = self._model.prompt(
                ask.prompt, ask.adapter, all_logits=ask.prompt_logprobs is not None
            )
            # Before anybody hears of it.
            self.n_read += len(ask.prompt)
            self.n_chosen += ask.max_tokens > 0
            sequence.begin(logits_TV)
        except Exception:
            log.exception("a prompt failed")
            sequence.fail()
        if not sequence.finished:
            self._cache = cache if self._cache is None else _stacked(self._cache, cache)
            self._rows.append(sequence)

    def step(self) -> None:
        """One token for every row."""
        self._keep([not row.aborted for row in self._rows])
        if self._cache is None:
            return
        try:
            logits_BV = self._model.step(
                [row.ids[-1] for row in self._rows],
                # The newest token was chosen, but not read yet.
                [len(row.ids) - 1 for row in self._rows],
                [row.ask.adapter for row in self._rows],
                self._cache,
            )
        except Exception:
            log.exception("a step failed")
            for row in self._rows:
                row.fail()
            self._rows, self._cache = [], None
            return
        self.n_chosen += len(self._rows)
        for row, logits_V in zip(self._rows, logits_BV, strict=True):
            try:
                row.accept(logits_V)
            except Exception:
                # Logits that are no numbers: there is nothing to choose from.
                log.exception("a sequence failed")
                row.fail()
        self._keep([not row.finished for row in self._rows])

    def _keep(self, kept: list[bool]) -> None:
        if all(kept) or self._cache is None:
            return
        self._rows = [row for row, stays in zip(self._rows, kept, strict=True) if stays]
        if not self._rows:
            self._cache = None
            return
        rows = torch.tensor([number for number, stays in enumerate(kept) if stays])
        longest = max(len(row.ids) for row in self._rows) - 1
        self._cache = _made(
            [
                tuple(
                    one[rows.to(one.device)][:, :, -longest:] for one in (layer.keys, layer.values)
                )
                for layer in self._cache.layers
            ]
        )


def _stacked(upper: DynamicCache, lower: DynamicCache) -> DynamicCache:
    """The rows of both, the shorter one padded on the left."""
    length = max(upper.get_seq_length(), lower.get_seq_length())

    def one(above: Tensor, below: Tensor) -> Tensor:
        both = (F.pad(part, (0, 0, length - part.shape[2], 0)) for part in (above, below))
        return torch.cat(tuple(both))

    return _made(
        [
            (one(above.keys, below.keys), one(above.values, below.values))
            for above, below in zip(upper.layers, lower.layers, strict=True)
        ]
    )


def _made(layers: list[tuple[Tensor, Tensor]]) -> DynamicCache:
    """Keys and values (B, H, T, D) of each layer as a cache."""
    cache = DynamicCache()
    for number, (keys, values) in enumerate(layers):
        cache.update(keys, values, number)
    return cache
