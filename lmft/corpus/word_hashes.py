"""Words of text as 64-bit hashes, and runs of them.

Words are compared without case, quotes and punctuation, so two editions of a story are the same.
All work is on arrays: there is no Python object per word.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.int64]

PIECE_CHARACTERS = 1 << 18
"""Longer text is hashed in pieces of this, and short texts are best gathered up to it."""

# Odd, so that to multiply by them modulo 2**64 loses nothing.
_LETTER_BASE = 0x9E3779B97F4A7C15
_WORD_BASE = np.uint64(0xD6E8FEB86659FD93)
# Thai, Lao, Burmese, Khmer and East Asian scripts have no spaces: each letter is a word.
_UNSPACED = (
    *((0xE00, 0xEFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x2E80, 0x312F)),
    *((0x3190, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF)),
)
_ALONE = 1 << 31


def hash_words(texts: Sequence[str]) -> tuple[Hashes, Indices]:
    """Hashes of the words of all texts, and where each text's begin (and the last one's end)."""
    joined = "\n".join(texts)
    hashes, starts = [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
    offset = 0
    while offset < len(joined):
        end = offset + PIECE_CHARACTERS
        if end < len(joined):
            end = joined.rfind(" ", offset, end) + 1 or end
        piece = _words_of_piece(joined[offset:end])
        hashes.append(piece[0])
        starts.append(piece[1] + offset)
        offset = end
    text_starts = np.cumsum([0, *(len(text) + 1 for text in texts)])
    return np.concatenate(hashes), np.searchsorted(np.concatenate(starts), text_starts)


def hash_runs(words: Hashes, bounds: Indices, n_words: int) -> tuple[Hashes, Indices]:
    """Hashes of all runs of `n_words` words that lie within one text, and how many each has."""
    n_all = max(0, len(words) - n_words + 1)
    hashes = np.zeros(n_all, np.uint64)
    for place in range(n_words):
        hashes *= _WORD_BASE
        hashes += words[place : place + n_all]
    lengths = np.diff(bounds)
    inside = np.arange(n_all) + n_words <= np.repeat(bounds[1:], lengths)[:n_all]
    return hashes[inside], np.maximum(0, lengths - n_words + 1)


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
    powers = np.full((2, PIECE_CHARACTERS), 1, np.uint64)
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
