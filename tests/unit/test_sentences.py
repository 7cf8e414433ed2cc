"""Whether a text starts or stops inside a sentence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmft.corpus.sentences import breaks_off, capitalises, goes_on, whole_sentences

ENDINGS = [
    *("He left.", "He left. \n", "“Go!”", "Why?", "»Geh.«", "„Geh.“", "and then…", "the end—"),
    *("(gone)", "*bows*", "_Finis._", "***", "So he said:", "Τι;", "I love you ♥"),
    *(
        "वह चला गया।",
        "وہ چلا گیا۔",
        "هل ذهب؟",
        "走了。",
        "「行くぞ！」",
        "Նա գնաց։",
        "ሄደ።",
        "သွားပြီ။",
    ),
]


@pytest.mark.parametrize("text", ENDINGS)
def test_a_sentence_that_ends_is_no_break(text):
    assert not breaks_off(text)


@pytest.mark.parametrize(
    "text", ["he went to the", "one, ", "वह चला गया", "走了，", "he is 30", "é"]
)
def test_a_word_or_a_comma_at_the_end_is_a_break(text):
    assert breaks_off(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("and so on", True),
        ("\n  été", True),
        ("And so on", False),
        ("“and so", False),
        ("...and so", False),
        ("वह", False),
        ("ไป", False),
        ("ذهب", False),
        ("", False),
    ],
)
def test_the_rest_of_a_sentence_begins_in_lower_case(text, expected):
    assert goes_on(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("he left. She came", True),
        ("he left!” “She came", True),
        ("he left?\n\n— Она пришла", True),
        ("he left. she came. i slept.", False),
        ("i love you\nyou love me\nOh", False),
        ("წავიდა. მოვიდა.", False),
        ("e.g. the end", False),
    ],
)
def test_writers_of_capitals_are_told_from_others(text, expected):
    assert capitalises(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Thr", "One. Two!"),
        ("“One.” Tw", "“One.”"),
        ("他走了。她来", "他走了。"),
        ("「行くぞ！」と彼", "「行くぞ！」"),
        ("वह गया। वह", "वह गया।"),
        ("no end at all", "no end at all"),
        ("ไปแล้ว", "ไปแล้ว"),
        ("pi is 3.14 and", "pi is 3.14 and"),
        ("", ""),
    ],
)
def test_a_cut_text_is_shortened_to_its_whole_sentences(text, expected):
    assert whole_sentences(text) == expected


@given(st.text())
def test_any_text_is_answered(text):
    assert text.startswith(whole_sentences(text))
    assert not (breaks_off(text) and not text.strip())
    assert capitalises(text) in (True, False)


@pytest.mark.parametrize("run", ["!", ".)", ". ", "。」", ')"', " - "])
def test_a_long_run_of_marks_is_read_in_one_go(run):
    text = f"he left{run * 200_000}x"
    assert not capitalises(text)
    assert whole_sentences(text)
