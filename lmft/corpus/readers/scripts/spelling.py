"""Names as old printers spelt and shortened them."""

from __future__ import annotations

import re
from functools import lru_cache

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_OLD_LETTERS = str.maketrans("vwj", "uui", "'’-")
_DOUBLED = re.compile(r"(.)\1")
_MIN_ALIKE = 5


@lru_cache(maxsize=2_000)
def _words(name: str) -> tuple[str, ...]:
    """In small letters and one spelling: `v` and `j` as `u` and `i`, no double letters."""
    words = [word.lower().translate(_OLD_LETTERS) for word in _WORD.findall(name)]
    return tuple(_DOUBLED.sub(r"\1", word.replace("y", "i")) for word in words)


def _stem(word: str) -> str:
    """Without the ending that old spelling is free with: Audrey, Awdrie; Rosalind, Rosalinde."""
    return word.rstrip("ei") or word


def _is_same_word(a: str, b: str) -> bool:
    # A short word may be the beginning of many: `Mar.` is not Mary for certain.
    return a == b or (min(len(a), len(b)) >= _MIN_ALIKE and _stem(a) == _stem(b))


def is_same(label: str, name: str) -> bool:
    """The whole name, however it is spelt."""
    ours, theirs = _words(label), _words(name)
    return len(ours) == len(theirs) and all(
        _is_same_word(a, b) for a, b in zip(ours, theirs, strict=True)
    )


def begins(label: str, name: str) -> bool:
    """`Du.Sen.` of `Duke Senior`: every word the beginning of a word."""
    ours, theirs = _words(label), _words(name)
    return len(ours) == len(theirs) and all(
        full.startswith(short) for short, full in zip(ours, theirs, strict=True)
    )


def begins_a_word(label: str, name: str) -> bool:
    """`Ol.` of `Sir Oliuer Mar-text`."""
    ours, theirs = _words(label), _words(name)
    return len(ours) == 1 and len(theirs) > 1 and any(w.startswith(ours[0]) for w in theirs)


def is_alike(one: str, other: str) -> bool:
    """Two full names of one person: `Rosaline` and `Rosalinde`, `Duke Sen.` and `Duke Senior`."""
    ours, theirs = _words(one), _words(other)
    return len(ours) == len(theirs) and all(
        _is_alike_word(a, b) or (position > 0 and (a.startswith(b) or b.startswith(a)))
        for position, (a, b) in enumerate(zip(ours, theirs, strict=True))
    )


def _is_alike_word(a: str, b: str) -> bool:
    short, long = sorted((_stem(a), _stem(b)), key=len)
    return _is_same_word(a, b) or (
        len(short) >= _MIN_ALIKE and len(long) == len(short) + 1 and long.startswith(short)
    )


def is_misprint(label: str, other: str) -> bool:
    """One letter off, not the first."""
    return (
        len(other) == len(label) > 2
        and other[0] == label[0]
        and sum(a != b for a, b in zip(other, label, strict=True)) == 1
    )
