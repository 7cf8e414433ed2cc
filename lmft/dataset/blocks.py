"""Documents to dense blocks (N, T): no padding, no attention mask, nothing dropped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lmft.dataset.encode import Encoded

IGNORED = -100


@dataclass(frozen=True)
class Blocks:
    """Attributes:
    ids_NT: token ids. labels_NT: the same, with -100 where no loss counts.
    """

    ids_NT: npt.NDArray[np.int64]
    labels_NT: npt.NDArray[np.int64]

    @property
    def n_tokens(self) -> int:
        return int(self.ids_NT.size)

    @property
    def n_trained_tokens(self) -> int:
        return int((self.labels_NT != IGNORED).sum())


def pack(documents: Sequence[Encoded], block_tokens: int) -> Blocks:
    """Lay the documents end to end and cut blocks of T = min(block_tokens, total) tokens.

    The last block reaches back over the one before it, with those labels ignored, so that
    every trained token is a label exactly once and every block is full. (The loss shifts
    inside a block, so the first label of each has nothing before it and is not scored.)

    Raises:
        ValueError: no token of any document is trained.
    """
    ids = np.array([token for document in documents for token in document.ids], dtype=np.int64)
    trained = np.array([flag for document in documents for flag in document.trained], dtype=bool)
    labels = np.where(trained, ids, IGNORED)
    if not trained.any():
        raise ValueError("no token would be trained")
    length = min(block_tokens, len(ids))
    n_full, rest = divmod(len(ids), length)
    ids_NT = ids[: n_full * length].reshape(n_full, length)
    labels_NT = labels[: n_full * length].reshape(n_full, length)
    if rest:
        tail_labels = labels[-length:].copy()
        tail_labels[: length - rest] = IGNORED
        ids_NT = np.concatenate([ids_NT, ids[None, -length:]])
        labels_NT = np.concatenate([labels_NT, tail_labels[None]])
    return Blocks(ids_NT, labels_NT)
