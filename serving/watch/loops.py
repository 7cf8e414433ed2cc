"""Does a reply repeat itself? A cheap measure that needs no tokenizer and no language."""

from __future__ import annotations

NGRAM = 20
# Less than this is too short to tell a loop from a refrain.
MIN_CHARACTERS = 80
# A loop, once begun, lasts to the end; so the end is enough, and the cost is bounded.
TAIL_CHARACTERS = 4000
LOOPING_SHARE = 0.5


def repeated_share(text: str) -> float:
    """The share of 20-character sequences that stood in the text before; 0 of a short text.

    seq-rep-n of Welleck et al., "Neural Text Generation with Unlikelihood Training" (2019),
    over characters instead of words. English prose has a few hundredths; a sentence said three
    times has two thirds.
    """
    tail = text[-TAIL_CHARACTERS:]
    n_grams = len(tail) - NGRAM + 1
    if len(tail) < MIN_CHARACTERS:
        return 0.0
    return 1 - len({tail[start : start + NGRAM] for start in range(n_grams)}) / n_grams


def is_loop(text: str) -> bool:
    """At least half of the reply (of its last 4,000 characters) is a repetition."""
    return repeated_share(text) >= LOOPING_SHARE
