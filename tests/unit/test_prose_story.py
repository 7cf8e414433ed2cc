"""One story as lines to documents: the whole way."""

from __future__ import annotations

import textwrap
import tracemalloc
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmft.corpus.documents import Document
from lmft.corpus.findings import Findings
from lmft.corpus.prose.line import Line
from lmft.corpus.prose.parts import MAX_PARAGRAPH_BYTES, PART_BYTES
from lmft.corpus.prose.story import story_documents

relaxed = settings(deadline=None, max_examples=80)
ADVENTURES = Path(__file__).resolve().parents[2] / "recipes" / "data" / "adventures"

SENTENCE = "The wind blew over the hill as if it had lost something there, and nobody slept. "
PARAGRAPH = (SENTENCE * 4).strip()


def lines_of(text: str, first: int = 1) -> list[Line]:
    return [Line(number, line) for number, line in enumerate(text.split("\n"), first)]


def documents(
    text: str, findings: Findings | None = None, *, wrapped: bool | None = None, name: str = "t.txt"
) -> list[Document]:
    return list(story_documents(name, [lines_of(text)], findings or Findings(), wrapped=wrapped))


def joined(parts: list[Document]) -> str:
    return "".join(part.text for part in parts)


# A whole file, as it is downloaded

FILE = """The Project Gutenberg EBook of Two Tales of a Well and One of a Bell, by Ann Ash

*** START OF THIS PROJECT GUTENBERG EBOOK TWO TALES ***

Produced by Tom Elder




TWO TALES OF A WELL AND ONE OF A BELL

By Ann Ash


CONTENTS:

     THE DRY WELL
     THE WET WELL
     THE BELL




THE DRY WELL

The well in our yard was dry, and nobody could say why it was so, not even
the man with the hazel twig, who was paid for it. “There is water,” he said
when he was asked, and he said nothing else.

“Then where is it?” my father asked.

[Illustration: The man with the twig]

He sang, not very well, an old song of the other coun-
try:

     O water deep, O water cold,
       Come up, come up to me,
     And thou shalt have a ring of gold

And then he went home to his supper, and we stood there in the dark yard
with our bucket.

* * * * *

It rained in the night.




THE WET WELL

In the other country, where my mother was born, they had water in every
well and did not know what to do with it.




THE BELL

There was one bell.

THE END




End of Project Gutenberg's Two Tales of a Well, by Ann Ash

*** END OF THIS PROJECT GUTENBERG EBOOK TWO TALES ***

Updated editions will replace the previous one.
"""


def test_a_downloaded_file_becomes_its_tales():
    findings = Findings()
    parts = documents(FILE, findings, name="wells.txt")
    assert [part.text for part in parts] == [
        "TWO TALES OF A WELL AND ONE OF A BELL\n\nBy Ann Ash\n\nTHE DRY WELL\n\n"
        "The well in our yard was dry, and nobody could say why it was so, not even the man with "
        "the hazel twig, who was paid for it. “There is water,” he said when he was asked, and he "
        "said nothing else.\n\n“Then where is it?” my father asked.\n\n"
        "He sang, not very well, an old song of the other country:\n\n"
        "O water deep, O water cold,\n  Come up, come up to me,\n"
        "And thou shalt have a ring of gold\n\n"
        "And then he went home to his supper, and we stood there in the dark yard with our "
        "bucket.\n\n* * * * *\n\n",
        "It rained in the night.",
        "THE WET WELL\n\nIn the other country, where my mother was born, they had water in every "
        "well and did not know what to do with it.",
        "THE BELL\n\nThere was one bell.\n\nTHE END",
    ]
    assert [(part.begins, part.ends, part.scene) for part in parts] == [
        (True, False, 0),
        (False, True, 1),
        (True, True, 0),
        (True, True, 0),
    ]
    openings = ["TWO TALES OF A", "It rained", "\nTHE WET WELL\n", "\nTHE BELL\n"]
    places = [FILE.rindex(opening) + opening.startswith("\n") for opening in openings]
    assert [part.source for part in parts] == [
        f"wells.txt:{FILE.count(chr(10), 0, place) + 1}" for place in places
    ]
    assert {part.kind for part in parts} == {"story"}
    assert findings.notes == ["wells.txt: a collection of 3 pieces; each one ends"]
    assert {drop.reason for drop in findings.drops} == {
        "licence",
        "credits",
        "table of contents",
        "illustration",
    }


# Clean-ups


def test_the_stated_clean_ups():
    text = "One.  \n\fTwo\x07.\n\n\n\nThree\tfour\x0bfive _six_ “seven”.\n \nNaïve café 你好 😀"
    assert joined(documents(text)) == (
        "One.\n\nTwo.\n\nThree\tfour\nfive _six_ “seven”.\n\nNaïve café 你好 😀"
    )


@pytest.mark.parametrize("text", ["", "\n\n  \n", "\x00\x01"])
def test_nothing_gives_no_document(text):
    assert documents(text) == []
    assert list(story_documents("t.txt", [], Findings(), wrapped=None)) == []


def test_a_story_of_one_part_has_the_name_of_its_file():
    assert [part.source for part in documents("\n\nOne.\n\n")] == ["t.txt"]
    later = story_documents("t.txt", [lines_of("One.", first=40)], Findings(), wrapped=None)
    assert [part.source for part in later] == ["t.txt:40"]


# Parts


def test_long_scenes_are_cut_between_paragraphs():
    text = "\n\n".join([PARAGRAPH] * 200)
    parts = documents(text)
    assert joined(parts) == text
    assert all(part.text.rstrip("\n").endswith("slept.") for part in parts)
    assert all(part.text.startswith("The wind") for part in parts)
    assert all(len(part.text) <= PART_BYTES for part in parts[:-1])
    assert all(len(part.text) > PART_BYTES // 2 for part in parts[:-1])
    assert [part.begins for part in parts] == [True] + [False] * (len(parts) - 1)
    assert [part.ends for part in parts] == [False] * (len(parts) - 1) + [True]
    assert {part.scene for part in parts} == {0}


def test_a_small_rest_joins_the_part_before():
    text = "\n\n".join(["x" * 3_900, "y" * 3_900, "z" * 1_000])
    assert [part.text for part in documents(text)] == [text]
    longer = f"{text}{'z' * 1_500}"
    assert len(documents(longer)) == 2


def test_bytes_are_counted_not_characters():
    parts = documents("\n\n".join(["你" * 1_000] * 4))
    assert [len(part.text.encode()) for part in parts] == [6_004, 6_002]


def test_without_blank_lines_a_line_is_a_paragraph():
    text = "\n".join([PARAGRAPH] * 100)
    parts = documents(text)
    assert len(parts) > 3
    assert joined(parts) == text
    assert all(part.text.startswith("The wind") for part in parts)


def test_a_stanza_is_not_cut():
    stanza = "\n".join(["O wind that blows, O wind that blows"] * 40)
    text = "\n\n".join([stanza] * 30)
    for part in documents(text)[:-1]:
        assert part.text.endswith("\n\n")


def test_a_long_paragraph_stays_whole_and_an_absurd_one_is_cut_at_sentences():
    long = SENTENCE * (20_000 // len(SENTENCE))
    parts = documents(f"{PARAGRAPH}\n\n{long}\n\n{PARAGRAPH}")
    assert [part.text for part in parts] == [f"{PARAGRAPH}\n\n", f"{long.strip()}\n\n{PARAGRAPH}"]
    absurd = (SENTENCE * (2 * MAX_PARAGRAPH_BYTES // len(SENTENCE))).strip()
    parts = documents(absurd)
    assert joined(parts) == absurd
    assert all(part.text.rstrip().endswith("slept.") for part in parts)
    assert all(len(part.text) <= PART_BYTES for part in parts)


@pytest.mark.parametrize("unit", ["x", "xy ", "井"])
def test_text_without_sentences_is_cut_too(unit):
    text = (unit * (2 * MAX_PARAGRAPH_BYTES)).strip()
    parts = documents(text)
    assert joined(parts) == text
    assert all(len(part.text.encode()) <= 1.3 * PART_BYTES for part in parts)


# Adventures


@pytest.mark.parametrize("path", sorted(ADVENTURES.glob("*.txt")), ids=lambda path: path.stem)
def test_our_own_adventures_come_out_as_they_are(path):
    findings = Findings()
    text = path.read_text(encoding="utf-8")
    (document,) = documents(text, findings)
    assert document.text == text.strip("\n")
    assert document.kind == "adventure"
    assert findings.drops == []
    assert findings.notes == []


@pytest.mark.parametrize("separator", ["\n", "\n\n"])
def test_an_action_stays_with_its_answer(separator):
    turn = f"> You look at the hill.{separator}{PARAGRAPH}"
    text = separator.join([PARAGRAPH] + [turn] * 100)
    parts = documents(text)
    assert len(parts) > 3
    assert joined(parts) == text
    assert {part.kind for part in parts} == {"adventure"}
    assert not any(part.text.rstrip("\n").endswith("hill.") for part in parts)


@pytest.mark.parametrize(
    "text",
    [
        "You wake.\n> You look.\nA room.",
        "Tom wrote:\n\n> The well is dry,\n> and nobody knows why,\n> not even I.\n\nYes.",
        "> 5 is more than 4\n> 6 is more",
        ">You look.\nA room.\n>You go.\nA yard.",
    ],
)
def test_other_quotes_are_no_adventure(text):
    assert {part.kind for part in documents(text)} == {"story"}


# Windows


def test_windows_of_a_story_are_one_story():
    chapter = "\n\n".join([PARAGRAPH] * 2_500)
    text = "\n\n\n".join(f"CHAPTER {number}\n\n{chapter}" for number in ("I", "II", "III"))
    lines = lines_of(text)
    blank = [index for index, line in enumerate(lines) if not line.text and index > 3_300]
    windows = [lines[: blank[0]], lines[blank[0] : blank[1_600]], lines[blank[1_600] :]]
    parts = list(story_documents("t.txt", windows, Findings(), wrapped=None))
    assert parts == documents(text)
    assert [part.begins for part in parts].count(True) == 1
    assert [part.ends for part in parts].count(True) == 1
    assert sorted({part.scene for part in parts}) == [0, 1, 2]


def test_a_footer_that_begins_a_window_early_is_found():
    text = FILE[: FILE.index("Updated")] + "Licence text.\n" * 10
    lines = lines_of(text)
    windows = [lines[:-8], lines[-8:]]
    parts = story_documents("wells.txt", windows, Findings(), wrapped=None)
    assert joined(list(parts)).endswith("THE END")


def test_no_more_than_two_windows_are_held():
    paragraph = PARAGRAPH * 4
    taken = 0

    def windows() -> Iterator[list[Line]]:
        nonlocal taken
        for _ in range(12):
            taken += 1
            yield lines_of("\n\n".join([paragraph] * 600))

    stream = story_documents("t.txt", windows(), Findings(), wrapped=None)
    next(stream)
    assert taken == 2
    tracemalloc.start()
    sizes = [part.n_bytes for part in stream]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(sizes) > 8_000_000
    assert peak < 6_000_000


# Anything at all

_WORDS = st.sampled_from(
    ["the", "of", "sea", "boat", "harbour", "whistled", "écluse", "Grüße", "don’t"]
)
_SENTENCES = st.lists(_WORDS, min_size=4, max_size=30).map(
    lambda words: f"{words[0].capitalize()} {' '.join(words[1:])}."
)
_PROSE = st.lists(
    st.lists(_SENTENCES, min_size=1, max_size=5).map(" ".join), min_size=1, max_size=6
)
_LINES = st.lists(
    st.one_of(
        st.text("ab A.,>-*#\t\x0b\x0c\x07“’…\u3000\ud800", max_size=30),
        st.sampled_from(
            [
                "",
                "* * *",
                "CHAPTER II",
                "CONTENTS",
                "12",
                "13",
                "14",
                "> You go.",
                "[Pg 4]",
                "[Illustration: a cat",
                "Tales",
                "End of Project Gutenberg's Tale",
                "All rights reserved.",
                "long " * 2_000,
            ]
        ),
    ),
    max_size=30,
)


@relaxed
@given(_PROSE, st.integers(45, 100))
def test_wrapping_is_undone(paragraphs, width):
    wrapped = "\n\n".join(
        textwrap.fill(paragraph, width, break_long_words=False, break_on_hyphens=False)
        for paragraph in paragraphs
    )
    assert joined(documents(wrapped, wrapped=True)) == "\n\n".join(paragraphs)


@relaxed
@given(_LINES, st.sampled_from([None, True, False]))
def test_what_is_not_reported_is_there_once_and_in_order(texts, wrapped):
    findings = Findings()
    parts = list(
        story_documents(
            "t.txt",
            [[Line(number, text) for number, text in enumerate(texts, 1)]],
            findings,
            wrapped=wrapped,
        )
    )
    assert all(part.text for part in parts)
    letters = [character for character in "".join(texts) if character.isalnum()]
    left = iter(letters)
    kept = [character for character in joined(parts) if character.isalnum()]
    assert all(character in left for character in kept)
    if not findings.drops:
        assert kept == letters
    if parts:
        assert parts[0].begins
        assert parts[-1].ends
        assert not joined(parts).startswith("\n")
        assert not joined(parts).endswith("\n")
    for before, after in pairwise(parts):
        assert before.ends == after.begins
        assert before.ends or before.text.endswith(("\n", " "))
        assert after.scene in ((0,) if after.begins else (before.scene, before.scene + 1))
