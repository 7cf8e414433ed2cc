"""Near-duplicates among units of text by MinHash."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lmft.corpus.word_hashes import PIECE_CHARACTERS, Indices, hash_runs, hash_words

_N_VALUES = 64
_N_BANDS = 16
_RUN_WORDS = 5
_SHORT_WORDS = 20
_PAIRS_AT_ONCE = 1 << 16
# Odd, so that to multiply by them modulo 2**64 loses nothing.
_ORDERS = np.frombuffer(hashlib.shake_256(b"MinHash").digest(8 * _N_VALUES), "<u8") | np.uint64(1)


class Signatures:
    """MinHash signatures of units in the order in which they are added, 128 bytes for each.

    A unit is the set of its runs of 5 words. Each of 64 random orders of all possible runs
    keeps the first that the unit has; two units agree in one order with a chance that is their
    Jaccard similarity J, so the share of agreeing values estimates J with a standard error of
    sqrt(J (1 - J) / 64), 0.05 at J = 0.8 (Broder, "On the resemblance and containment of
    documents", 1997). A unit of fewer than 20 words, too few for that, only equals its like.
    """

    def __init__(self) -> None:
        self._values = bytearray()
        self._pending: list[str] = []
        self._n_pending_characters = 0

    @property
    def nbytes(self) -> int:
        """Memory of all signatures."""
        self._sign_pending()
        return len(self._values)

    def add(self, text: str) -> None:
        """The next unit."""
        if self._n_pending_characters + len(text) > PIECE_CHARACTERS:
            self._sign_pending()
        self._pending.append(text)
        self._n_pending_characters += len(text)

    def clusters(self, threshold: float = 0.8) -> Indices:
        """For each unit the index of the first unit that it nearly repeats; its own if none.

        Units are candidates when one of 16 bands of 4 values is equal (of pairs with J = 0.8,
        0.9998 are), and are joined when at least `threshold` of all values agree. Joining is
        transitive. In a run of equal bands a unit is compared with the run's first and with its
        neighbour only: a thousand copies cost no more than a thousand other units.
        """
        self._sign_pending()
        values = np.frombuffer(self._values, np.uint16).reshape(-1, _N_VALUES)
        bands = np.frombuffer(self._values, np.uint64).reshape(-1, _N_BANDS)
        first = np.arange(len(values))
        for band in bands.T:
            order = np.argsort(band, kind="stable")
            repeats = np.flatnonzero(np.diff(band[order]) == 0) + 1
            run_starts = np.arange(len(order))
            run_starts[repeats] = 0
            np.maximum.accumulate(run_starts, out=run_starts)
            for other in (run_starts[repeats], repeats - 1):
                left, right = order[other], order[repeats]
                # Those that are together already need no look, and a look is what takes memory.
                apart = np.flatnonzero(first[left] != first[right])
                for chunk in np.array_split(apart, 1 + len(apart) // _PAIRS_AT_ONCE):
                    agree = (values[left[chunk]] == values[right[chunk]]).mean(axis=1)
                    alike = chunk[agree >= threshold]
                    _join(first, left[alike], right[alike])
        return first

    def _sign_pending(self) -> None:
        if self._pending:
            self._values += _sign(self._pending).tobytes()
            self._pending, self._n_pending_characters = [], 0


def _join(first: Indices, left: Indices, right: Indices) -> None:
    """Unite each of `left` with its `right`; `first` holds every unit's root, before and after."""
    while (apart := first[left] != first[right]).any():
        left, right = left[apart], right[apart]
        low, high = np.sort((first[left], first[right]), axis=0)
        np.minimum.at(first, high, low)
        while not np.array_equal(roots := first[first], first):
            first[:] = roots


def _sign(texts: Sequence[str]) -> npt.NDArray[np.uint16]:
    words, bounds = hash_words(texts)
    runs, n_runs = hash_runs(words, bounds, _RUN_WORDS)
    signatures = np.empty((len(texts), _N_VALUES), np.uint16)
    long = np.diff(bounds) >= _SHORT_WORDS
    runs, n_runs = runs[np.repeat(long, n_runs)], n_runs[long]
    starts = np.cumsum(n_runs) - n_runs
    for value, order in enumerate(_ORDERS if long.any() else ()):
        # The lowest bits of a product are the least mixed, the highest of a minimum all 0.
        signatures[long, value] = np.minimum.reduceat(runs * order, starts) >> np.uint64(16)
    for unit in np.flatnonzero(~long):
        words_of_unit = words[bounds[unit] : bounds[unit + 1]].tobytes()
        exact = hashlib.blake2b(words_of_unit or texts[unit].encode(errors="surrogatepass"))
        signatures[unit] = np.frombuffer(exact.digest() * 2, np.uint16)
    return signatures
