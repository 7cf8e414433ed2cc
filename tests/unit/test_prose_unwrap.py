"""Hard-wrapped lines are joined; verse, dialogue, lists and line ends that are meant are not."""

from __future__ import annotations

import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmft.corpus.prose.blocks import to_blocks
from lmft.corpus.prose.hyphens import Words
from lmft.corpus.prose.line import Line
from lmft.corpus.prose.unwrap import unwrap
from lmft.corpus.prose.wrapping import find_layout

relaxed = settings(deadline=None, max_examples=80)

# Long enough to show how the text is laid out, whatever a test adds to it.
SEA = """The harbour lay under a thin mist, and along the quay the boats knocked
against one another as if they had something to say. Nobody was awake but
the cat of the chandler, who sat on a barrel and looked at the water with
great attention, and an old man who had not slept for three nights and now
came down the steps to see whether his boat was still where he had left it
in the spring.

It was. He sat down on the wet thwart and took out his pipe, and when he
had found that there was no tobacco in it he put it back into his pocket
and began to bail.
"""


def unwrapped(text: str, *, wrapped: bool | None = None) -> str:
    lines = [Line(number, line.rstrip()) for number, line in enumerate(text.split("\n"), 1)]
    blocks, _ = to_blocks(lines)
    layout = None if wrapped is False else find_layout(blocks, wrapped=wrapped)
    paragraphs = unwrap(blocks, layout, Words([line.text for line in lines]))
    out = ""
    for index, paragraph in enumerate(paragraphs):
        out += ("\n\n" if paragraph.gap else "\n") * (index > 0) + paragraph.text
    return out


def among(text: str) -> str:
    """`text` as it comes out of the middle of a wrapped story."""
    out = unwrapped(f"{SEA}\n{text}\n\n{SEA}")
    sea = unwrapped(SEA)
    assert out.startswith(sea)
    assert out.endswith(sea)
    return out[len(sea) : -len(sea)].strip("\n")


def test_a_wrapped_paragraph_becomes_one_line():
    assert unwrapped(SEA) == "\n\n".join(
        " ".join(part.split("\n")) for part in SEA[:-1].split("\n\n")
    )


def test_one_paragraph_a_line_is_left_as_it_is():
    text = (
        "\n".join(" ".join(part.split("\n")) for part in SEA[:-1].split("\n\n"))
        + "\n“Ho!” he said."
    )
    assert unwrapped(text) == text


def test_line_ends_that_are_meant_are_kept():
    assert unwrapped(SEA, wrapped=False) == SEA.rstrip("\n")


def test_a_poem_alone_is_no_prose():
    poem = "The hens are in the yard again\nAnd nobody can say\nHow long they mean\nTo stay."
    assert unwrapped(poem) == poem


# Words at line ends


@pytest.mark.parametrize(
    ("elsewhere", "broken", "whole"),
    [
        ("an extraordinary day", "extraordi-\nnary", "extraordinary"),
        ("", "extraordi-\nnary", "extraordinary"),
        ("his overcoat", "over-\ncoat", "overcoat"),
        ("a sea-green boat", "sea-\ngreen", "sea-green"),
        ("sea water, green water", "sea-\ngreen", "sea-green"),
        ("", "Smith-\nJones", "Smith-Jones"),
        ("", "1914-\n18", "1914-18"),
        ("", "two- and three-\nand fourfold", "two- and three- and fourfold"),
        ("", "wait--\nwhat", "wait--what"),
        ("", "wait—\nwhat", "wait—what"),
        ("", "wait --\nwhat", "wait -- what"),
        ("", "extraordi\u00ad\nnary", "extraordinary"),
    ],
)
def test_words_broken_at_the_line_end_are_whole_again(elsewhere, broken, whole):
    before, after = broken.split("\n")
    line = "and then he said that it was " + "so very " * 10
    line = f"{line[: 73 - len(before)].rsplit(' ', 1)[0]} {before}"
    padding = "x" * (72 - len(line))
    rest = "and that was all that was ever heard of it by anyone at all\non the quay."
    paragraph = f"{padding}{line}\n{after}, {rest}"
    assert f" {whole}, and that" in among(
        f"{elsewhere}.\n\n{paragraph}" if elsewhere else paragraph
    )


def test_chinese_lines_are_joined_without_a_space():
    line = "那天晚上他走到井边看了很久然后他想起了母亲说过的话便转身回家去了"
    text = f"{line}\n{line}\n没有人。\n\n{line}\n{line}\n走了。"
    assert unwrapped(text) == f"{line}{line}没有人。\n\n{line}{line}走了。"


# What is not prose


@pytest.mark.parametrize(
    "block",
    [
        # Verse, with and without a line that is nearly as long as the prose around it.
        "The sea is wide, the sea is grey,\nAnd he that sails it far away\nComes never home again.",
        "O hear the bell beneath the wave that tolls for them that never came\n"
        "Again to harbour from the deep where all the fishes have a name,\n"
        "And hear the old men on the quay who count the candles, flame by flame,\n"
        "And hear the women at the doors who call their sons and call the same,\n"
        "And hear the sea that says no more, and takes no pity and no blame.",
        # Dialogue without blank lines.
        "“Is she sound?” he asked.\n“She was in March,” said the boy.\n“And now?”",
        "— Is she sound? he asked.\n"
        "— She was in March, said the boy, and looked at all the people there.\n— And now?",
        # Lists, tables, scripts, a player.
        "1. A coil of rope, and a second one in case the first should break at sea\n"
        "2. A lamp\n3. Two loaves of bread, and salt, and one good knife to cut them with",
        "- a coil of rope, and a second one in case the first should break at sea,\n- a lamp",
        "rope      2 coils      bought in the spring of the year before the last one\n"
        "lamp      1 piece      found",
        "ANN: Is she sound, and would she carry the two of us as far as the island?\n"
        "TOM: She was in March.",
        "> You go down to the boat and untie her while the old man is looking away.\nShe drifts.",
        # A letter's end.
        "Your loving nephew,\nTom Elder",
    ],
)
def test_lines_that_are_meant_stay_among_wrapped_ones(block):
    assert among(block) == block


def test_the_head_of_a_letter_stays_and_its_body_is_joined():
    letter = (
        "Dear Aunt,\n"
        "I hope that you are well. The weather here has been fair and the hens lay\n"
        "every day, as they should do."
    )
    assert among(letter) == letter.replace("lay\nevery", "lay every")


def test_speeches_that_are_wrapped_are_joined_each_by_itself():
    text = (
        "“Is she sound?” he asked, and looked at the boy, who looked at the water\n"
        "and then at the cat.\n"
        "“She was in March,” said the boy at last, because nobody else seemed to\n"
        "want to say anything."
    )
    assert among(text) == text.replace("water\nand", "water and").replace("to\nwant", "to want")


def test_indentation_of_verse_is_kept_relative_and_that_of_prose_goes():
    verse = "     The sea is wide,\n         The sea is grey,\n     And far away."
    assert among(verse) == "The sea is wide,\n    The sea is grey,\nAnd far away."
    prose = (
        "     He was a man of few words, and those he had were not for\n"
        "     everyone to hear on the quay; so he wrote them down in a\n"
        "     book."
    )
    assert among(prose) == " ".join(line.strip() for line in prose.split("\n"))


def test_first_lines_set_in_are_new_paragraphs():
    text = (
        "   He was a man of few words, and those he had were not for everybody to\n"
        "hear.\n"
        "   She was a woman of many, and there was nobody on the quay who did not\n"
        "know them."
    )
    assert among(text) == (
        "He was a man of few words, and those he had were not for everybody to hear.\n"
        "She was a woman of many, and there was nobody on the quay who did not know them."
    )


@pytest.mark.parametrize(
    ("line", "after"),
    [
        ("more than one of them would ever come to know. ‘Ah, yes, my dear,’", "she replied"),
        ("anything that he had put upon the quay, only for a show of it:", "and when he"),
        ("more than one of them, and called out over the water: ‘Hi, you!", "your reverence"),
        ("more than one of them would ever come to know about the boats there.", "He and the cat"),
    ],
)
def test_a_nearly_full_line_within_prose_goes_on_whatever_it_ends_with(line, after):
    before = SEA.split("\n")[:4]
    text = "\n".join(
        [*before, line, f"{after} came down the steps to see whether the boat was there."]
    )
    assert "\n" not in among(text)


def test_dense_text_is_joined_although_half_of_it_is_short_speeches():
    sea = SEA.replace("\n\n", "\n").strip()
    speech = "“Is she sound?” he asked.\n“No.”\n“" + "Not at all, sir, " * 6 + "no.”\n“And now?”"
    paragraphs = unwrapped("\n".join([sea, speech] * 12)).split("\n")
    assert paragraphs[:6] == [
        *(" ".join(part.split("\n")) for part in SEA[:-1].split("\n\n")),
        *speech.split("\n"),
    ]
    assert len(paragraphs) == 12 * 6


def test_dense_dialogue_alone_is_not_joined():
    text = "“Is she sound?” he asked.\n“She was in March.”\n“And now? Tell me,” he said,\n" * 20
    assert unwrapped(text) == text[:-1]


def test_japanese_paragraphs_of_one_width_are_known_by_the_space_before_them():
    line = "　それから彼は井戸のそばまで歩いて行って長い間その水を見ていたのである。"
    text = "\n".join([line] * 30)
    assert unwrapped(text) == text
    wrapped = f"{line[:20]}\n{line[20:]}"
    assert unwrapped("\n".join([wrapped] * 9), wrapped=True).count("\n") == 8


def test_paragraphs_of_one_line_that_are_set_in_are_not_joined():
    text = (
        "   He was a man of few words, and those he had were not for everybody to\n"
        "hear.\n"
        "   She was a woman of many, and there was nobody at all who did not know.\n"
        "   The cat was a cat, and what she thought of all this was her own to say\n"
        "and nobody asked her."
    )
    assert among(text).count("\n") == 2


def test_print_is_joined_within_a_sentence_whatever_the_next_line_begins_with():
    """Letters of print differ in width: a full line may have few of them."""
    text = (
        "“It will not hurt you so much,” she said. “When I was at\n"
        "Eaton Square I used to hide my face deep in the pillow and press it hard\n"
        "against my mouth.”\n\n“I’m your grandson, you know, and I am the new Lord\nFauntleroy.”"
    )
    out = unwrapped(f"{SEA}\n{text}", wrapped=True)
    assert "When I was at Eaton Square I used" in out
    assert out.endswith("the new Lord Fauntleroy.”")


def test_headings_of_markdown_lose_their_marks_and_are_never_joined():
    heading = "# The harbour and the boats that knocked against one another in the mist #"
    text = f"{heading}\nThe harbour lay there."
    assert among(text) == (
        "The harbour and the boats that knocked against one another in the mist\n"
        "The harbour lay there."
    )
    assert among("#1 of them") == "#1 of them"


def test_a_block_of_thirty_thousand_lines_is_joined_in_one_pass():
    text = "\n".join(
        ["the boats knocked against one another as if they had something to say to"] * 30_000
    )
    assert "\n" not in unwrapped(text)


# Anything that textwrap can wrap

_WORDS = st.sampled_from(
    ["the", "of", "sea", "boat", "harbour", "whistled", "écluse", "Grüße", "don’t"]
)
_SENTENCES = st.lists(_WORDS, min_size=3, max_size=25).map(
    lambda words: f"{words[0].capitalize()} {' '.join(words[1:])}."
)
_PARAGRAPHS = st.lists(
    st.lists(_SENTENCES, min_size=1, max_size=6).map(" ".join), min_size=1, max_size=6
)


@relaxed
@given(_PARAGRAPHS, st.integers(45, 110))
def test_wrapping_is_undone(paragraphs, width):
    wrapped = "\n\n".join(
        textwrap.fill(paragraph, width, break_long_words=False, break_on_hyphens=False)
        for paragraph in paragraphs
    )
    assert unwrapped(wrapped, wrapped=True) == "\n\n".join(paragraphs)


@relaxed
@given(st.text("ab A.\n-“>*\t—|:1", max_size=300), st.sampled_from([None, True, False]))
def test_every_letter_is_kept_in_order(text, wrapped):
    assert "".join(unwrapped(text, wrapped=wrapped).split()).replace("-", "") == (
        "".join(text.split()).replace("-", "")
    )
