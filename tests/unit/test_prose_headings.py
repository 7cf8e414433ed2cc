"""Chapter headings, titles and scene breaks; stories, scenes and collections by them."""

from __future__ import annotations

import pytest

from lmft.corpus.prose.blocks import to_blocks
from lmft.corpus.prose.collection import find_collection
from lmft.corpus.prose.headings import Mark, mark
from lmft.corpus.prose.hyphens import Words
from lmft.corpus.prose.line import Line
from lmft.corpus.prose.scenes import Scenes
from lmft.corpus.prose.unwrap import Paragraph, unwrap

PROSE = "It was a long night, and the wind blew over the hill as if it had lost something there."


def paragraphs_of(text: str) -> list[Paragraph]:
    lines = [Line(number, line) for number, line in enumerate(text.split("\n"), 1)]
    return unwrap(to_blocks(lines)[0], None, Words([]))


def mark_of(heading: str, *, gap: int = 2, entries: frozenset[str] = frozenset()) -> Mark:
    """The mark of `heading` between two paragraphs of prose, `gap` blank lines above it."""
    text = f"{PROSE}\n\n{PROSE}{chr(10) * (gap + 1)}{heading}\n\n{PROSE}\n\n{PROSE}"
    return list(mark(paragraphs_of(text), entries))[2]


def scenes_of(
    text: str, *, name: str = "tale.txt", entries: frozenset[str] = frozenset()
) -> list[str]:
    """`story.scene` and the begin of each paragraph."""
    paragraphs = paragraphs_of(text)
    marks = list(mark(paragraphs, entries))
    scenes = Scenes(find_collection(name, paragraphs, marks, entries))
    return [
        f"{placed.story}.{placed.scene} {placed.paragraph.text[:12].strip()}"
        for placed in scenes.place(paragraphs, marks)
    ]


# Headings


@pytest.mark.parametrize(
    "heading",
    [
        "CHAPTER I",
        "Chapter 12. The Door",
        "Chapter 12: The Door",
        "CHAPTER IV THE DOOR",
        "Chapter One",
        "Chapter Twenty-One",
        "BOOK THE SECOND",
        "PART ONE",
        "Part One. The Road",
        "FIRST STORY",
        "Canto III",
        "Kapitel 3",
        "Chapitre IV",
        "第三章 夜",
    ],
)
@pytest.mark.parametrize("gap", [0, 1, 2])
def test_a_numbered_heading_is_a_chapter_wherever_it_stands_alone(heading, gap):
    assert mark_of(heading, gap=gap) is Mark.CHAPTER


@pytest.mark.parametrize("heading", ["IV", "12", "XII.", "PROLOGUE"])
def test_a_bare_number_or_name_is_a_chapter_between_blank_lines(heading):
    assert mark_of(heading, gap=1) is Mark.CHAPTER
    assert mark_of(heading, gap=0) is Mark.TEXT


@pytest.mark.parametrize(
    "heading", ["THE DRY WELL", "THE BLACK CAT.", "The House by the Sea", "Ann"]
)
def test_a_title_has_two_blank_lines_above_it(heading):
    assert mark_of(heading, gap=2) is Mark.TITLE
    assert mark_of(heading, gap=1) is Mark.TEXT


def test_where_all_paragraphs_have_two_a_title_needs_three():
    text = "\n\n\n".join([PROSE, "The Dry Well", PROSE, PROSE, PROSE])
    assert Mark.TITLE not in list(mark(paragraphs_of(text), frozenset()))


def test_an_entry_of_the_table_of_contents_is_a_title():
    assert mark_of("A well, and why", gap=1) is Mark.TEXT
    assert mark_of("A well, and why", gap=1, entries=frozenset(["a well and why"])) is Mark.TITLE


def test_markup_makes_a_title():
    paragraphs = [Paragraph(1, PROSE, 0), Paragraph(2, "of a well", 1, 2), Paragraph(3, PROSE, 1)]
    assert list(mark(paragraphs, frozenset()))[1] is Mark.TITLE


@pytest.mark.parametrize(
    "text",
    [
        "Part of the way home he sang.",
        "Chapter 12 was the worst of all.",
        "Book one was on the table.",
        "Part Two was over, and he slept.",
        "Act one way and speak another.",
        "“NO!”",
        "He ran.",
        "Well, yes.",
        "THE END",
        "Finis",
        "I saw it.",
        "1984 was cold",
        "...",
        "- Yes",
    ],
)
def test_text_that_looks_a_little_like_a_heading_is_text(text):
    assert mark_of(text) is Mark.TEXT


@pytest.mark.parametrize(
    "line", ["***", "* * *", "      *   *   *", "---", "⁂", "#", "~", "—", "•", "* * * * *"]
)
@pytest.mark.parametrize("gap", [0, 1])
def test_scene_breaks(line, gap):
    assert mark_of(line, gap=gap) is Mark.BREAK


# Scenes


def test_chapters_and_breaks_begin_scenes_and_title_pages_do_not():
    front = "THE WELL\n\nby Ann Ash\n\nPART ONE\n\nThe Yard"
    text = f"{front}\n\nCHAPTER I\n\n{PROSE}\n\n* * *\n\nNext day.\n\n\nCHAPTER II\n\n{PROSE}"
    assert scenes_of(text) == [
        "0.0 THE WELL",
        "0.0 by Ann Ash",
        "0.0 PART ONE",
        "0.0 The Yard",
        "0.0 CHAPTER I",
        "0.0 It was a lon",
        "0.0 * * *",
        "0.1 Next day.",
        "0.2 CHAPTER II",
        "0.2 It was a lon",
    ]


def test_blank_lines_alone_are_no_scene_break():
    assert scenes_of(f"{PROSE}\n\n\n\nHe slept.") == ["0.0 It was a lon", "0.0 He slept."]


def test_a_break_before_a_heading_begins_one_scene():
    assert scenes_of(f"{PROSE}\n\n***\n\nCHAPTER II\n\n{PROSE}")[2] == "0.1 CHAPTER II"


def test_a_very_short_chapter_is_a_scene():
    assert scenes_of("CHAPTER I\n\nHe came.\n\nCHAPTER II\n\nHe went.")[2] == "0.1 CHAPTER II"


# Collections


def collection(front: str, heads: list[str]) -> str:
    return f"{front}\n\n" + "\n\n".join(f"\n\n{head}\n\n{PROSE}" for head in heads)


TITLES = ["THE DRY WELL", "THE WET WELL", "THE BELL"]


def stories(places: list[str]) -> int:
    return int(places[-1].split(".")[0]) + 1


@pytest.mark.parametrize(
    "front", ["Three Tales", "THE WORKS OF ANN ASH\n\nVOLUME II", "Poems\n\nby Ann Ash"]
)
def test_titled_pieces_of_what_calls_itself_a_collection_are_stories(front):
    places = scenes_of(collection(front, TITLES))
    assert stories(places) == 3
    assert places[-2:] == ["2.0 THE BELL", "2.0 It was a lon"]
    # The title page goes with the first piece.
    assert places[0].startswith("0.0")


def test_the_file_name_may_say_it():
    assert stories(scenes_of(collection("By Ann Ash", TITLES), name="old/fairy_tales.txt")) == 3
    assert stories(scenes_of(collection("By Ann Ash", TITLES), name="tales/novel.txt")) == 1


@pytest.mark.parametrize(
    ("front", "heads"),
    [
        ("Three Tales", ["CHAPTER I", "CHAPTER II", "CHAPTER III"]),
        ("Three Tales", ["I. THE DRY WELL", "II. THE WET WELL", "III. THE BELL"]),
        ("The Well", TITLES),
        ("Three Tales", TITLES[:2]),
        ("Three Tales", [*TITLES, "CHAPTER I", "CHAPTER II", "CHAPTER III", "CHAPTER IV"]),
    ],
)
def test_in_doubt_it_is_one_story(front, heads):
    assert stories(scenes_of(collection(front, heads))) == 1


def test_words_in_mid_text_make_no_collection():
    assert stories(scenes_of(collection(f"{PROSE}\n\nHe told me tales", TITLES))) == 1


def test_an_introduction_is_a_story_of_its_own():
    text = collection(f"Three Tales\n\n{PROSE}", TITLES)
    assert stories(scenes_of(text)) == 4


def test_numbered_parts_stay_within_their_piece_and_notes_behind_are_a_piece():
    heads = ["THE DRY WELL\n\nFIRST STORY", "SECOND STORY", *TITLES[1:], "NOTES"]
    entries = frozenset(["the dry well", "second story", "the wet well", "the bell"])
    places = scenes_of(collection("Three Tales", heads), entries=entries)
    assert stories(places) == 4
    assert "0.1 SECOND STORY" in places
    assert places[-2] == "3.0 NOTES"


def test_the_level_of_markup_that_repeats_begins_the_pieces():
    text = f"# Three Tales\n\n{PROSE}\n\n" + "\n\n".join(f"## {head}\n\n{PROSE}" for head in TITLES)
    assert stories(scenes_of(text)) == 4
