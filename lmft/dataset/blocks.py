"""Documents to dense blocks (N, T): no padding, no attention mask, nothing dropped."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lmft.dataset.encode import Encoded

IGNORED = -100
# A block reads at most this share of its tokens again to begin where a paragraph does.
_REREAD_SHARE = 1 / 3


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

    A block begins where a paragraph or a turn does, or where a sentence does if that is too
    far back: it reads again, without learning it again, what the block before had of it. So
    every trained token is a label exactly once (but the very first, which nothing comes
    before), and is learnt with something before it. The last block reaches back to be full.
    Blocks with nothing to learn are left out.

    Raises:
        ValueError: no token of any document is trained.
    """
    ids = _joined([document.ids for document in documents]).astype(np.int64)
    trained = _joined([document.trained for document in documents]).astype(bool)
    trained[_jumps(documents)] = False
    if not trained.any():
        raise ValueError("no token would be trained")
    paragraphs = _placed(documents, [document.starts for document in documents])
    sentences = _placed(documents, [document.sentences for document in documents])
    length = min(block_tokens, len(ids))
    blocks, labels = [], []
    done = 0
    while done < len(ids):
        begin = _begin(done, paragraphs, sentences, int(length * _REREAD_SHARE))
        begin = min(begin, len(ids) - length)
        end = begin + length
        label = np.where(trained[begin:end], ids[begin:end], IGNORED)
        label[: done - begin] = IGNORED
        if (label != IGNORED).any():
            blocks.append(ids[begin:end])
            labels.append(label)
        done = end
    return Blocks(np.stack(blocks), np.stack(labels))


def _jumps(documents: Sequence[Encoded]) -> list[int]:
    """The tokens before which the text jumps."""
    jumps, place = [], 0
    for before, document in itertools.pairwise(documents):
        place += len(before.ids)
        if not document.follows(before) and len(document.ids):
            jumps.append(place)
    return jumps


def _begin(
    done: int,
    paragraphs: npt.NDArray[np.int64],
    sentences: npt.NDArray[np.int64],
    max_reread: int,
) -> int:
    """Where the block starts whose first new token is `done`; at least one token before it."""
    if done == 0:
        return 0
    for starts in (paragraphs, sentences):
        place = int(np.searchsorted(starts, done - 1, side="right")) - 1
        if place >= 0 and done - int(starts[place]) <= max_reread:
            return int(starts[place])
    return done - 1


def _joined(arrays: Sequence[npt.NDArray[np.generic]]) -> npt.NDArray[np.generic]:
    return np.concatenate(arrays) if arrays else np.zeros(0, dtype=np.int64)


def _placed(
    documents: Sequence[Encoded], starts: Sequence[npt.NDArray[np.int64]]
) -> npt.NDArray[np.int64]:
    """Places within documents to places within all of them laid end to end."""
    ends = np.cumsum([len(document.ids) for document in documents])
    return np.concatenate(
        [
            place + end - len(document.ids)
            for place, end, document in zip(starts, ends, documents, strict=True)
        ]
    )
