"""What the held-out side shares with training, word for word."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter

import numpy as np
import numpy.typing as npt

from lmft.corpus.documents import Document
from lmft.corpus.word_hashes import PIECE_CHARACTERS, Hashes, Indices, hash_runs, hash_words

Side = Callable[[], Iterable[Document]]
"""Documents that can be gone through more than once."""

RUN_WORDS = 13
# Flags for each run that is known, in a power of two: of other runs at most 1 in 16 is searched.
_FLAGS_BITS = 4
_MARKED_AT_ONCE = 1 << 20


class Runs:
    """Runs of words that can be looked up many at a time; 10 to 12 bytes for each."""

    def __init__(self, hashes: Hashes) -> None:
        """`hashes` (N,): sorted; each may stand there several times, and is found at its first."""
        self._hashes = hashes
        n_bits = len(hashes).bit_length() + _FLAGS_BITS
        self._shift = np.uint64(64 - n_bits)
        # One bit for each beginning of a hash, to spare a search that would fail.
        self._flags = np.zeros((1 << n_bits) // 8, np.uint8)
        for start in range(0, len(hashes), _MARKED_AT_ONCE):
            byte, bit = self._flag_of(hashes[start : start + _MARKED_AT_ONCE])
            np.bitwise_or.at(self._flags, byte, bit)

    @classmethod
    def of(cls, texts: Iterable[str]) -> Runs:
        """All runs of the texts, which are streamed."""
        values = array("Q")
        for runs, _ in _hashed(texts):
            values.frombytes(runs.tobytes())
        hashes = np.frombuffer(values, np.uint64)
        hashes.sort()
        return cls(hashes)

    def common(self, texts: Iterable[str]) -> Runs:
        """Those that the texts have too. The texts are streamed."""
        found = np.zeros(len(self._hashes), bool)
        for runs, _ in _hashed(texts):
            _, places = self._look_up(runs)
            found[places] = True
        return Runs(self._hashes[found])

    def shares(self, units: Iterable[str]) -> npt.NDArray[np.float64]:
        """For each unit the share of its runs that are known. The units are streamed."""
        shares = [np.empty(0, np.float64)]
        for runs, n_runs in _hashed(units):
            unit_of_run = np.repeat(np.arange(len(n_runs)), n_runs)
            known, _ = self._look_up(runs)
            n_known = np.bincount(unit_of_run[known], minlength=len(n_runs))
            shares.append(n_known / np.maximum(n_runs, 1))
        return np.concatenate(shares)

    def _look_up(self, runs: Hashes) -> tuple[Indices, Indices]:
        """Which of `runs` are known, as indices, and their places among the known ones."""
        byte, bit = self._flag_of(runs)
        maybe = np.flatnonzero(self._flags[byte] & bit)
        wanted = runs[maybe]
        # What would follow all known ones is compared with the last, and differs.
        places = np.searchsorted(self._hashes[:-1], wanted)
        same = self._hashes[places] == wanted
        return maybe[same], places[same]

    def _flag_of(self, runs: Hashes) -> tuple[Indices, npt.NDArray[np.uint8]]:
        flag = (runs >> self._shift).view(np.int64)
        return flag >> 3, np.uint8(1) << (flag & 7).astype(np.uint8)


def shared_share(heldout: Iterable[str], train: Iterable[str]) -> npt.NDArray[np.float64]:
    """For each held-out unit the share of its runs of RUN_WORDS words that training has too.

    Exact, and independent of signatures and thresholds. A unit of fewer words shares 0. Both
    are streamed, `heldout` twice; memory grows with it only, by about 13 bytes a word.
    """
    return Runs.of(heldout).common(train).shares(heldout)


def _hashed(texts: Iterable[str]) -> Iterator[tuple[Hashes, Indices]]:
    """Hashes of the runs of a batch of texts, and how many each text of it has."""
    return (hash_runs(*hash_words(batch), RUN_WORDS) for batch in _batches(texts))


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


class _Words:
    """The words of a side's documents, to be gone through more than once."""

    def __init__(self, side: Side, words_of: Callable[[Document], str]) -> None:
        self._side, self._words_of = side, words_of

    def __iter__(self) -> Iterator[str]:
        return map(self._words_of, self._side())


def leak_shares(heldout: Side, train: Side) -> npt.NDArray[np.float64]:
    """For each held-out document the share of its word sequences that the training side has.

    A conversation leaks only as a whole: the lesser of the share of what is learnt of it and of
    all that is said in it. Answers out of a fixed set stand on both sides and are no leak.
    """
    learnt, said = attrgetter("learnt"), attrgetter("words")
    shares = shared_share(_Words(heldout, learnt), _Words(train, learnt))
    if not (shares > 0).any() or not any(document.messages for document in heldout()):
        return shares
    return np.minimum(shares, shared_share(_Words(heldout, said), _Words(train, said)))
