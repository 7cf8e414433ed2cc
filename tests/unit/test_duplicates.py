"""Near-duplicates among units, and what the held-out side shares with training."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmft.corpus.duplicates import Signatures
from lmft.corpus.overlap import shared_share

relaxed = settings(deadline=None, max_examples=25)

WORDS = [
    a + b + c for a in ("ba", "ke", "lo", "mi") for b in ("ran", "sto", "vel") for c in "aeiouy"
]


def prose(seed: int, n_words: int = 120) -> str:
    """Sentences of made-up words, the same for the same seed."""
    words = random.Random(seed).choices(WORDS, k=n_words)
    return " ".join(f'"{word.title()},"' if at % 9 == 0 else word for at, word in enumerate(words))


def another_edition(text: str) -> str:
    pairs = {'"': "”", ",": " —", " ": "\n  "}
    return "_" + "".join(pairs.get(character, character) for character in text.upper()) + "_…"


def clusters(*texts: str, threshold: float = 0.8) -> list[int]:
    signatures = Signatures()
    for text in texts:
        signatures.add(text)
    return signatures.clusters(threshold).tolist()


def partition(firsts: list[int], texts: list[str]) -> set[frozenset[str]]:
    members: dict[int, set[str]] = {}
    for text, first in zip(texts, firsts, strict=True):
        members.setdefault(first, set()).add(text)
    return {frozenset(texts) for texts in members.values()}


def test_nothing_has_no_clusters():
    assert clusters() == []


def test_a_copy_belongs_to_the_first_and_others_to_themselves():
    a, b, c = prose(1), prose(2), prose(3)
    assert clusters(a, b, a, c, b, a) == [0, 1, 0, 3, 1, 0]


@relaxed
@given(st.integers(0, 10**6), st.integers(20, 300))
def test_another_edition_is_a_near_duplicate(seed: int, n_words: int):
    text = prose(seed, n_words)
    assert clusters(text, another_edition(text)) == [0, 0]


@relaxed
@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(20, 300))
def test_unrelated_texts_are_not(seed: int, other: int, n_words: int):
    if seed != other:
        assert clusters(prose(seed, n_words), prose(other, n_words)) == [0, 1]


def test_a_few_changed_words_are_near_and_half_the_text_is_not():
    words = prose(7, 1000).split()
    edited = ["Zounds" if at % 200 == 100 else word for at, word in enumerate(words)]
    assert clusters(" ".join(words), " ".join(edited)) == [0, 0]
    assert clusters(" ".join(words), " ".join(words[:500]) + prose(8, 500)) == [0, 1]
    assert clusters(" ".join(words), " ".join(edited), threshold=1.0) == [0, 1]


@relaxed
@given(st.permutations(range(12)))
def test_joining_is_transitive(order: list[int]):
    words = prose(9, 1050).split()
    # Each step shares 9 of 10 words with the one before, the last hardly any with the first.
    steps = [" ".join(words[50 * step : 50 * step + 500]) for step in range(12)]
    assert clusters(steps[0], steps[11], threshold=0.7) == [0, 1]
    assert clusters(*(steps[step] for step in order), threshold=0.7) == [0] * 12


def test_short_units_equal_only_their_like():
    speech = "Yes, my lord, I shall be there before the clock strikes twelve."
    assert clusters(speech, "yes my LORD — I shall be there before the clock strikes twelve!") == [
        0,
        0,
    ]
    assert clusters(speech, speech.replace("twelve", "eleven")) == [0, 1]
    # The same runs of words, yet not the same.
    assert clusters("ha ha ha ha ha ha", "Ha, ha, ha! Ha, ha, ha, ha!") == [0, 1]
    assert clusters("No.", "no", "Yes.", "* * *", "***", "* * *", "", "") == [
        0,
        0,
        2,
        3,
        4,
        3,
        6,
        6,
    ]


def test_apostrophes_and_dashes_part_words_in_every_edition():
    assert clusters("don't go--stay", "Don’t go—stay", "dont gostay") == [0, 0, 2]


def test_scripts_without_spaces_are_compared_by_letters():
    tale = "老人坐在火边给孩子们讲大海的故事外面的风吹得百叶窗嘎嘎作响孩子们听得入了迷" * 3
    assert clusters(tale, tale.replace("的", "的，"), tale[::-1]) == [0, 0, 2]
    assert clusters("老人坐在火边", "老人，坐在火边。", "老人坐在火") == [0, 0, 2]


def test_long_units_are_signed_whole():
    # More than one piece of work, and a word on every border.
    long = " ".join(prose(seed, 2000) for seed in range(40))
    assert len(long) > 1 << 19
    assert clusters(long, another_edition(long), prose(1, 2000)) == [0, 0, 2]


def test_hostile_text_is_signed_like_any_other():
    blob = "A" * 600_000
    assert clusters("\ud800\0", blob, "\ud800\0", blob.lower(), blob[:-1]) == [0, 1, 0, 1, 4]


@relaxed
@given(st.permutations([f(prose(seed)) for seed in range(6) for f in (str, another_edition)]))
def test_order_changes_only_who_is_first(texts: list[str]):
    firsts = clusters(*texts)
    assert all(first <= unit and firsts[first] == first for unit, first in enumerate(firsts))
    expected = {frozenset({prose(seed), another_edition(prose(seed))}) for seed in range(6)}
    assert partition(firsts, texts) == expected


def test_adding_goes_on_after_a_question():
    signatures = Signatures()
    signatures.add(prose(1))
    assert signatures.clusters().tolist() == [0]
    signatures.add(prose(1))
    assert signatures.clusters().tolist() == [0, 0]


def test_a_unit_costs_128_bytes():
    signatures = Signatures()
    for seed in range(50):
        signatures.add(prose(seed, 30))
    assert signatures.nbytes == 50 * 128


def test_a_thousand_copies_and_a_thousand_others():
    others = [prose(seed, 40) for seed in range(1000)]
    firsts = clusters(*others, *[others[5]] * 1000)
    assert firsts == [*range(1000), *[5] * 1000]


@pytest.mark.parametrize("n_shared", [0, 13, 60, 200])
def test_the_share_is_that_of_runs(n_shared: int):
    heldout, words = prose(1, 200), prose(1, 200).split()
    train = another_edition(" ".join([*words[:n_shared], prose(2, 300)]))
    (share,) = shared_share([heldout], [prose(3), train, prose(4)])
    assert share == pytest.approx(max(0, n_shared - 12) / 188)


def test_each_unit_has_its_share_and_runs_do_not_cross_units():
    heldout = [prose(1, 50), "Too short.", prose(2, 50), prose(1, 50)]
    train = [prose(1, 50), *prose(2, 50).split()]
    assert shared_share(heldout, train).tolist() == [1.0, 0.0, 0.0, 1.0]
    assert shared_share(heldout, []).tolist() == [0.0] * 4
    assert shared_share([], train).tolist() == []


def test_a_leak_is_found_anywhere_in_a_long_training_text():
    train = " ".join(prose(seed, 2000) for seed in range(40))
    middles = [train[at : at + 3000].split(" ", 1)[1] for at in range(0, len(train) - 3000, 2000)]
    whole = [middle.rsplit(" ", 1)[0] for middle in middles]
    assert np.all(shared_share(whole, [train]) == 1.0)
