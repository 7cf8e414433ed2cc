"""What the held-out side shares with training, word for word."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import numpy.typing as npt

from lmft.corpus.documents import Document
from lmft.corpus.word_hashes import PIECE_CHARACTERS, hash_runs, hash_words

Side = Callable[[], Iterable[Document]]
"""Documents that can be gone through more than once."""

# A look-up by the first bits of a hash, to spare a search.
_LOOKUP_BITS = 24
_LOOKUP_SHIFT = np.uint64(64 - _LOOKUP_BITS)


def shared_share(
    heldout: Iterable[str], train: Iterable[str], n_words: int = 13
) -> npt.NDArray[np.float64]:
    """For each held-out unit the share of its runs of `n_words` words that training has too.

    Exact, and independent of signatures and thresholds. A unit of fewer words shares 0.
    Memory grows with the held-out side only; `train` is streamed.
    """
    own = [hash_runs(*hash_words(batch), n_words) for batch in _batches(heldout)]
    n_runs = np.concatenate([np.empty(0, np.int64), *(counts for _, counts in own)])
    hashes = np.concatenate([np.empty(0, np.uint64), *(runs for runs, _ in own)])
    known, which = np.unique(hashes, return_inverse=True)
    found = np.zeros(len(known), bool)
    maybe_known = np.zeros(1 << _LOOKUP_BITS, bool)
    maybe_known[known >> _LOOKUP_SHIFT] = True
    for batch in _batches(train):
        runs, _ = hash_runs(*hash_words(batch), n_words)
        runs = runs[maybe_known[runs >> _LOOKUP_SHIFT]]
        # What would follow all known ones is compared with the last, and differs.
        at = np.searchsorted(known[:-1], runs)
        found[at[known[at] == runs]] = True
    units = np.repeat(np.arange(len(n_runs)), n_runs)
    shares = np.bincount(units, weights=found[which], minlength=len(n_runs)).astype(np.float64)
    shares /= np.maximum(n_runs, 1)
    return shares


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for text in texts:
        if size + len(text) > PIECE_CHARACTERS:
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += len(text)
    yield batch


def leak_shares(heldout: Side, train: Side) -> npt.NDArray[np.float64]:
    """For each held-out document the share of its word sequences that the training side has.

    A conversation leaks only as a whole: the lesser of the share of what is learnt of it and of
    all that is said in it. Answers out of a fixed set stand on both sides and are no leak.
    """
    shares = shared_share((doc.learnt for doc in heldout()), (doc.learnt for doc in train()))
    if not (shares > 0).any() or not any(document.messages for document in heldout()):
        return shares
    said = shared_share((doc.words for doc in heldout()), (doc.words for doc in train()))
    return np.minimum(shares, said)
