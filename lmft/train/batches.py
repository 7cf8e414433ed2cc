"""Blocks to the batches of a run: which blocks in which step, as which tensors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from lmft.dataset.blocks import IGNORED, Blocks


class BlockOrder(Sampler[int]):
    """Every epoch all blocks once in an order of its own; epochs follow without a gap.

    A run of S steps of B blocks is S * B numbers, whatever the micro-batch and however many
    processes share them: step s always trains on numbers s * B to (s + 1) * B.
    """

    def __init__(self, n_blocks: int, n_numbers: int, seed: int) -> None:
        self._n_blocks = n_blocks
        self._n_numbers = n_numbers
        self._seed = seed

    def __len__(self) -> int:
        return self._n_numbers

    def __iter__(self) -> Iterator[int]:
        for place in range(self._n_numbers):
            epoch, at = divmod(place, self._n_blocks)
            if at == 0:
                order = np.random.default_rng((self._seed, epoch)).permutation(self._n_blocks)
            yield int(order[at])


class BlockDataset(Dataset[int]):
    """Numbers of blocks: `Collate` takes the blocks themselves all at once."""

    def __init__(self, blocks: Blocks) -> None:
        self.blocks = blocks

    def __len__(self) -> int:
        return len(self.blocks.ids_NT)

    def __getitem__(self, number: int) -> int:
        return number


class Collate:
    """Numbers of blocks to the arguments of the model's fast forward call.

    input_ids, position_ids: (B, T); positions count from each segment's start. picked: (K,) the
    places among B * T whose next token is learnt, and targets: (K,) those tokens.
    segment_starts, longest_segment: only where a block holds more than one segment.
    """

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks

    def __call__(self, numbers: list[int]) -> dict[str, Any]:
        ids_BT = self._blocks.ids_NT[numbers].astype(np.int64)
        labels_BT = self._blocks.labels_NT[numbers]
        n_rows, length = ids_BT.shape
        rows, columns = np.nonzero(labels_BT[:, 1:] != IGNORED)
        batch: dict[str, Any] = {
            "input_ids": torch.from_numpy(ids_BT),
            "picked": torch.from_numpy(rows * length + columns),
            "targets": torch.from_numpy(ids_BT[rows, columns + 1]),
        }
        segments_BT = self._blocks.segments_NT[numbers]
        if not segments_BT[:, -1].any():
            return batch
        new_BT = np.diff(segments_BT, axis=1, prepend=-1) != 0
        starts = np.flatnonzero(new_BT)
        places = np.arange(n_rows * length)
        positions = places - starts[np.cumsum(new_BT.ravel()) - 1]
        bounds = np.append(starts, n_rows * length)
        return batch | {
            "position_ids": torch.from_numpy(positions.reshape(n_rows, length)),
            "segment_starts": torch.from_numpy(bounds.astype(np.int32)),
            "longest_segment": int(np.diff(bounds).max()),
        }
