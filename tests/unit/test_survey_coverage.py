"""How well a tokenizer knows the letters: counted by character, told by script."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmft.bases import resolve_base
from lmft.corpus.survey.coverage import (
    OTHER,
    CharacterCounts,
    Coverage,
    Script,
    character_counts,
    coverage,
    script_of,
)
from lmft.dataset.encode import Encoder

relaxed = settings(deadline=None, max_examples=30)
anything = st.text(st.characters(exclude_categories=()), max_size=50)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    base = resolve_base("embedded")
    return Encoder(base.path, base.eos_token)


def covered(text: str, encoder: Encoder) -> dict[str, Script]:
    result = coverage(character_counts(text), lambda character: len(encoder.text(character)))
    return {script.name: script for script in result.scripts}


@relaxed
@given(st.lists(anything, max_size=5))
def test_every_character_is_counted(texts: list[str]):
    counts = CharacterCounts()
    for text in texts:
        counts.add(text)
    assert counts.counter() == Counter("".join(texts))
    assert counts.counter() == Counter("".join(texts)), "asking twice counts nothing twice"


def test_long_texts_are_counted_in_pieces():
    text = "“Née”, said 老人 😀\n" * 40_000
    assert character_counts(text) == Counter(text)


def test_the_embedded_base_knows_english_and_says_what_it_does_not(encoder: Encoder):
    scripts = covered("The old man sat by the fire. " * 20 + "Старик 老人", encoder)
    assert list(scripts) == ["LATIN", OTHER, "CYRILLIC", "CJK"]
    assert scripts["LATIN"] == Script("LATIN", 20 * 21, 1.0, 1.0)
    assert not scripts["LATIN"].unknown
    assert scripts["CYRILLIC"].n_characters == 6
    assert scripts["CYRILLIC"].tokens_per_character >= 1.8
    assert scripts["CYRILLIC"].unknown
    assert scripts["CJK"].tokens_per_character == 3.0
    assert scripts["CJK"].unknown


def test_shares_are_weighted_by_count_and_leave_whitespace_out():
    counts = Counter({"a": 6, "b": 2, "я": 2, " ": 90, "\n": 7, "\u3000": 5})
    result = coverage(counts, lambda character: {"a": 1, "b": 2, "я": 4}[character])
    assert result == Coverage(
        10, 0.6, (Script("LATIN", 8, 0.75, 1.25), Script("CYRILLIC", 2, 0.0, 4.0))
    )


def test_nothing_is_covered_wholly():
    assert coverage({" ": 3}, len) == Coverage(0, 1.0, ())


@pytest.mark.parametrize(
    ("single_share", "tokens", "unknown"),
    [(1.0, 1.0, False), (0.61, 1.79, False), (0.6, 1.4, True), (0.7, 1.8, True)],
)
def test_a_script_is_unknown_from_here_on(single_share: float, tokens: float, unknown: bool):
    assert Script("GREEK", 10, single_share, tokens).unknown is unknown


@pytest.mark.parametrize(
    ("characters", "script"),
    [
        ("aÉßŒıＡªﬁ", "LATIN"),
        ("яЁї", "CYRILLIC"),
        ("Ωςµ", "GREEK"),
        ("老々", "CJK"),
        ("かゝ", "HIRAGANA"),
        ("カーｶ", "KATAKANA"),
        ("한", "HANGUL"),
        ("שﬠ", "HEBREW"),
        ("กำิ", "THAI"),
        ("\u0301", "COMBINING MARKS"),
        ("№™Ⓐ1½,.“—…😀€\u200d\ufe0f\ud800\0\ue000ʼ", OTHER),
    ],
)
def test_letters_have_a_script_and_all_else_is_other(characters: str, script: str):
    assert {script_of(character) for character in characters} == {script}


@relaxed
@given(anything)
def test_scripts_add_up(text: str):
    result = coverage(
        character_counts(text), lambda character: len(character.encode("utf-32", "surrogatepass"))
    )
    visible = sum(not character.isspace() for character in text)
    assert result.n_characters == sum(script.n_characters for script in result.scripts) == visible
