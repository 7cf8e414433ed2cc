"""Near-duplicates among units of text by MinHash, and what the held-out side shares with training.

Words are compared without case, quotes and punctuation, so two editions of a story are the same.
All work is on arrays of 64-bit hashes: there is no Python object per word.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.int64]

N_VALUES = 64
_N_BANDS = 16
_RUN_WORDS = 5
_SHORT_WORDS = 20
_PIECE_CHARACTERS = 1 << 18
_PAIRS_AT_ONCE = 1 << 16
# A look-up by the first bits of a hash, to spare a search.
_LOOKUP_BITS = 24
_LOOKUP_SHIFT = np.uint64(64 - _LOOKUP_BITS)

# Odd, so that to multiply by them modulo 2**64 loses nothing.
_LETTER_BASE = 0x9E3779B97F4A7C15
_WORD_BASE = np.uint64(0xD6E8FEB86659FD93)
_ORDERS = np.frombuffer(hashlib.shake_256(b"MinHash").digest(8 * N_VALUES), "<u8") | np.uint64(1)
# Thai, Lao, Burmese, Khmer and East Asian scripts have no spaces: each letter is a word.
_UNSPACED = (
    *((0xE00, 0xEFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x2E80, 0x312F)),
    *((0x3190, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF)),
)
_ALONE = 1 << 31


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
        if self._n_pending_characters + len(text) > _PIECE_CHARACTERS:
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
        values = np.frombuffer(self._values, np.uint16).reshape(-1, N_VALUES)
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


def shared_share(
    heldout: Iterable[str], train: Iterable[str], n_words: int = 13
) -> npt.NDArray[np.float64]:
    """For each held-out unit the share of its runs of `n_words` words that training has too.

    Exact, and independent of signatures and thresholds. A unit of fewer words shares 0.
    Memory grows with the held-out side only; `train` is streamed.
    """
    own = [_runs(*_words(batch), n_words) for batch in _batches(heldout)]
    n_runs = np.concatenate([np.empty(0, np.int64), *(counts for _, counts in own)])
    hashes = np.concatenate([np.empty(0, np.uint64), *(runs for runs, _ in own)])
    known, which = np.unique(hashes, return_inverse=True)
    found = np.zeros(len(known), bool)
    maybe_known = np.zeros(1 << _LOOKUP_BITS, bool)
    maybe_known[known >> _LOOKUP_SHIFT] = True
    for batch in _batches(train):
        runs, _ = _runs(*_words(batch), n_words)
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
        if size + len(text) > _PIECE_CHARACTERS:
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += len(text)
    yield batch


def _join(first: Indices, left: Indices, right: Indices) -> None:
    """Unite each of `left` with its `right`; `first` holds every unit's root, before and after."""
    while (apart := first[left] != first[right]).any():
        left, right = left[apart], right[apart]
        low, high = np.sort((first[left], first[right]), axis=0)
        np.minimum.at(first, high, low)
        while not np.array_equal(roots := first[first], first):
            first[:] = roots


def _sign(texts: Sequence[str]) -> npt.NDArray[np.uint16]:
    words, bounds = _words(texts)
    runs, n_runs = _runs(words, bounds, _RUN_WORDS)
    signatures = np.empty((len(texts), N_VALUES), np.uint16)
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


def _runs(words: Hashes, bounds: Indices, n_words: int) -> tuple[Hashes, Indices]:
    """Hashes of all runs of `n_words` words that lie within one text, and how many each has."""
    n_all = max(0, len(words) - n_words + 1)
    hashes = np.zeros(n_all, np.uint64)
    for place in range(n_words):
        hashes *= _WORD_BASE
        hashes += words[place : place + n_all]
    lengths = np.diff(bounds)
    inside = np.arange(n_all) + n_words <= np.repeat(bounds[1:], lengths)[:n_all]
    return hashes[inside], np.maximum(0, lengths - n_words + 1)


def _words(texts: Sequence[str]) -> tuple[Hashes, Indices]:
    """Hashes of the words of all texts, and where each text's begin (and the last one's end)."""
    joined = "\n".join(texts)
    hashes, starts = [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
    offset = 0
    while offset < len(joined):
        end = offset + _PIECE_CHARACTERS
        if end < len(joined):
            end = joined.rfind(" ", offset, end) + 1 or end
        piece = _words_of_piece(joined[offset:end])
        hashes.append(piece[0])
        starts.append(piece[1] + offset)
        offset = end
    text_starts = np.cumsum([0, *(len(text) + 1 for text in texts)])
    return np.concatenate(hashes), np.searchsorted(np.concatenate(starts), text_starts)


def _words_of_piece(text: str) -> tuple[Hashes, Indices]:
    """Polynomial hashes of words: the sum up to a word's end less that up to its start."""
    letters = _letters()[np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)]
    inside = letters != 0
    joined = inside[1:] & inside[:-1]
    if not text.isascii():
        joined &= (letters[1:] | letters[:-1]) < _ALONE
    borders = np.concatenate(([False], joined, [False]))
    starts, stops = np.flatnonzero(inside & ~borders[:-1]), np.flatnonzero(inside & ~borders[1:])
    powers, inverses = _powers()
    sums = np.zeros(len(letters) + 1, np.uint64)
    np.cumsum(letters * powers[: len(letters)], out=sums[1:])
    hashes = (sums[stops + 1] - sums[starts]) * inverses[starts]
    # Mixed as splitmix64 does: sums of products have poor low bits.
    hashes = (hashes ^ (hashes >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    hashes = (hashes ^ (hashes >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return hashes ^ (hashes >> np.uint64(31)), starts


@cache
def _powers() -> tuple[Hashes, Hashes]:
    """Powers of the letter base and of its inverse modulo 2**64, one for each place."""
    powers = np.full((2, _PIECE_CHARACTERS), 1, np.uint64)
    powers[0, 1:], powers[1, 1:] = _LETTER_BASE, pow(_LETTER_BASE, -1, 1 << 64)
    powers = np.cumprod(powers, axis=1)
    return powers[0], powers[1]


@cache
def _letters() -> npt.NDArray[np.uint32]:
    """For each code point 0 if it only separates words, else a number that ignores its case."""
    table = np.zeros(0x110000, np.uint32)
    for code in range(0x40000):
        if unicodedata.category(chr(code))[0] in "LMN":
            folded = chr(code).casefold()
            table[code] = ord(folded) if len(folded) == 1 else code
    for low, high in _UNSPACED:
        unspaced = table[low : high + 1]
        unspaced[unspaced > 0] |= _ALONE
    return table
