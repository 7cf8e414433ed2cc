"""Licence text, credits and page furniture: found, reported, left out; story text stays."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmft.corpus.findings import Findings
from lmft.corpus.prose.boilerplate import strip_boilerplate
from lmft.corpus.prose.contents import drop_contents
from lmft.corpus.prose.line import Line

relaxed = settings(deadline=None, max_examples=150)


def lines_of(text: str) -> list[Line]:
    return [Line(number, line) for number, line in enumerate(text.split("\n"), 1)]


def strip(text: str, *, first: bool = True, last: bool = True) -> tuple[str, Findings]:
    findings = Findings()
    kept = strip_boilerplate("tale.txt", lines_of(text), findings, first=first, last=last)
    return "\n".join(line.text for line in kept).strip("\n"), findings


def reasons(findings: Findings) -> list[str]:
    return [drop.reason for drop in findings.drops]


TALE = """The well in our yard was dry, and nobody could say why.

Then, one night in March, we heard it sing."""


# Project Gutenberg

MODERN = f"""The Project Gutenberg EBook of The Dry Well, by Ann Ash

This eBook is for the use of anyone anywhere at no cost.

Title: The Dry Well

Author: Ann Ash

*** START OF THIS PROJECT GUTENBERG EBOOK THE DRY
WELL ***

Produced by Tom Elder and the
Online Team

{TALE}

End of Project Gutenberg's The Dry Well, by Ann Ash

*** END OF THIS PROJECT GUTENBERG EBOOK THE DRY WELL ***

Updated editions will replace the previous one.

Section 5. General information about the licence."""


def test_a_modern_header_and_footer_go_and_are_reported_with_their_lines():
    kept, findings = strip(MODERN)
    assert kept == TALE
    assert sorted(reasons(findings)) == ["credits", "licence", "licence"]
    header = findings.drops[0]
    assert (header.file, header.first_line, header.last_line) == ("tale.txt", 1, 10)
    assert header.excerpt.startswith("The Project Gutenberg EBook of The Dry Well")


def test_a_footer_is_looked_for_in_the_last_lines_only():
    kept, _ = strip(MODERN, last=False)
    assert kept.endswith("Section 5. General information about the licence.")


SMALL_PRINT = f"""***The Project Gutenberg's Etext of The Dry Well***

Copyright laws are changing all over the world.

***START**THE SMALL PRINT!**FOR PUBLIC DOMAIN ETEXTS**START***
Why is this here? You know: lawyers.
*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*

Director's Notes:

Here is the Project Gutenberg Etext of The Dry Well.

If you find errors in this etext, my email is tom@example.org. I hope that
you enjoy it.

Tom Elder

THE DRY WELL

{TALE}"""


def test_the_small_print_of_old_files_goes_with_the_letters_behind_it():
    kept, findings = strip(SMALL_PRINT)
    assert kept == f"THE DRY WELL\n\n{TALE}"
    assert set(reasons(findings)) == {"licence"}


def test_small_print_behind_the_text_takes_no_text_with_it():
    tale = "\n\n".join([TALE] * 30)
    start = SMALL_PRINT.index("***START**")
    small = SMALL_PRINT[start : SMALL_PRINT.index("Director's")]
    kept, _ = strip(f"{tale}\n\n{small}\n\nAnd so it ended.")
    assert kept.startswith(tale)
    assert kept.endswith("And so it ended.")
    assert "lawyers" not in kept


def test_a_header_that_was_cut_goes_line_by_line():
    header = MODERN[: MODERN.index("*** START")]
    kept, _ = strip(f"{header}\n\n{TALE}")
    assert kept == TALE


def test_two_books_in_one_file_lose_what_lies_between_them():
    kept, _ = strip(f"{MODERN}\n\n{MODERN}")
    assert kept.count(TALE) == 2
    assert "GUTENBERG" not in kept
    assert "Updated editions" not in kept


def test_a_notice_between_plays_goes():
    notice = "<<THIS ELECTRONIC VERSION OF THE COMPLETE WORKS IS COPYRIGHT\n1990 BY A LIBRARY.>>"
    kept, findings = strip(f"He dies.\n\n{notice}\n\nEnter Ghost.")
    assert kept == "He dies.\n\nEnter Ghost."
    assert reasons(findings) == ["licence"]


# Notices of others


@pytest.mark.parametrize(
    ("notice", "reason"),
    [
        ("All rights reserved.", "licence"),
        (
            "All rights reserved. No part of this book\nmay be reproduced in any form.",
            "licence",
        ),
        ("Copyright © 2014 by Ann Ash", "licence"),
        ("ISBN 978-0-123456-47-2", "licence"),
        (
            "This is a work of fiction. Names, characters and places are used\nfictitiously.",
            "licence",
        ),
        ("First published in Great Britain in 1987", "licence"),
        (
            "This work is licensed under a Creative Commons Attribution 4.0 licence.",
            "licence",
        ),
        (
            "This ebook is the product of many hours of hard work by volunteers for\n"
            "Standard Ebooks.",
            "licence",
        ),
        ("This eBook was exported from Wikisource, the free library, in May.", "licence"),
        ("A Distributed Proofreaders Canada eBook", "licence"),
        ("Digitized by the Internet Archive\nin 2007 with funding from a library", "licence"),
        (
            "Posted originally on the Archive of Our Own at http://archiveofourown.org/works/1.",
            "licence",
        ),
        ("E-text prepared by Tom Elder", "credits"),
        ("Produced by Tom Elder and the team at http://www.pgdp.example", "credits"),
        ("Transcriber's Note: obvious errors of spelling were corrected.", "transcriber's note"),
        ("TRANSCRIBER'S NOTES\n\nThe punctuation was left as it is.", "transcriber's note"),
    ],
)
def test_a_notice_before_or_behind_the_text_goes(notice, reason):
    before, findings = strip(f"{notice}\n\n{TALE}")
    assert before == TALE
    assert reasons(findings) == [reason]
    behind, findings = strip(f"{TALE}\n\n{notice}")
    assert behind == TALE
    assert reasons(findings) == [reason]


def test_the_labels_of_the_archive_of_our_own_go_and_its_work_stays():
    text = f"""The Dry Well
Posted originally on the Archive of Our Own at http://archiveofourown.org/works/1.

Rating:

General Audiences

Fandom:
    Wells

Stats:
    Published: 2013-04-01 Words: 1,234

Summary

A well sings.

{TALE}

Please drop by the Archive and comment to let the creator know if you enjoyed their work!"""
    kept, findings = strip(text)
    assert kept == f"The Dry Well\n\nSummary\n\nA well sings.\n\n{TALE}"
    assert set(reasons(findings)) == {"licence", "credits"}


def test_a_title_right_above_a_copyright_line_stays():
    kept, _ = strip(f"The Dry Well\nCopyright (c) 2014 Ann Ash\nAll rights reserved.\n\n{TALE}")
    assert kept == f"The Dry Well\n\n{TALE}"


@pytest.mark.parametrize(
    "story",
    [
        "“All rights reserved,” said Tom. “No part of this may be copied!”",
        "He read it aloud: All rights reserved. No part of this book may be reproduced.",
        "Published by nobody, read by nobody, the book lay on the shelf in 1923, and he wept.",
        "Printed in gold on the door was a name that I knew.",
        "Transcriber's Note was what they called the tune, and nobody played it better.",
        "Produced by a wave of the wizard's hand, the egg lay there.",
        "The end of Project Gutenberg was near, they said at the club.",
        "She had the copyright of 1923 framed.",
        "Rating: poor. That was all that the card said.",
    ],
)
def test_a_story_may_speak_of_such_things(story):
    kept, findings = strip(f"{story}\n\n{TALE}")
    assert kept == f"{story}\n\n{TALE}"
    assert findings.drops == []


def test_notices_in_mid_text_are_part_of_the_story():
    body = "\n\n".join([TALE] * 150)
    text = f"{body}\n\nCopyright 2014 by Ann Ash\n\n{body}"
    assert strip(text)[0] == text


# Marks in brackets


def test_illustrations_go_with_their_captions_and_other_brackets_stay():
    kept, findings = strip(
        "He went [limping]\n\n[Illustration: A man [old]\n\nat a well]\n\nout. [He wept.]"
    )
    assert kept == "He went [limping]\n\nout. [He wept.]"
    assert reasons(findings) == ["illustration"]
    assert (findings.drops[0].first_line, findings.drops[0].last_line) == (3, 5)


def test_marks_inside_a_line_leave_one_space_or_none():
    kept, findings = strip(
        "He [Pg 12] saw some[Page 13]thing [Transcriber's note: sic] big. [p. 14]"
    )
    assert kept == "He saw something big."
    assert reasons(findings) == ["page number", "page number", "transcriber's note", "page number"]


def test_a_mark_over_two_lines_leaves_the_sentence():
    kept, _ = strip("He saw [Transcriber's note: the\noriginal has a saw] a light\nand ran.")
    assert kept == "He saw\na light\nand ran."


def test_a_bracket_that_never_closes_stays():
    text = f"[Illustration: a man\n\n{TALE}"
    assert strip(text)[0] == text


def test_braces_are_pages_only_in_a_rising_row():
    kept, _ = strip("One {1} two {2} three {3} four.")
    assert kept == "One two three four."
    assert strip("Take {3} eggs and {1} pan.")[0] == "Take {3} eggs and {1} pan."


# Page numbers

PROSE = (
    "The harbour lay under a thin mist, and along the quay the boats knocked against one another "
    "as if they had something to say. Nobody was awake but the cat."
)
PAGES = """The dog ran over the hill and did not

{0}

stop until it came to the river.

It drank.

{1}

Then it slept in the grass and

{2}

dreamed of bones."""


@pytest.mark.parametrize("form", ["{}", "- {} -", "[{}]", "Page {}", "     — {} —"])
def test_rising_numbers_that_cut_sentences_are_pages_and_the_sentence_is_mended(form):
    kept, findings = strip(PAGES.format(*(form.format(number) for number in (7, 8, 9))))
    assert kept == (
        "The dog ran over the hill and did not\nstop until it came to the river.\n\n"
        "It drank.\n\nThen it slept in the grass and\ndreamed of bones."
    )
    assert reasons(findings) == ["page number"] * 3


def test_two_numbers_are_too_few_for_pages():
    text = "He ran and\n\n7\n\nfell.\n\nHe rose and\n\n8\n\nran."
    assert strip(text)[0] == text


def test_numbers_that_do_not_rise_stay():
    text = PAGES.format(9, 2, 5)
    assert strip(text)[0] == text


def test_a_lone_number_among_pages_stays():
    text = PAGES.format(31, 32, 33) + "\n\nWhat was on the door?\n\n7\n\nIt was closed."
    kept, findings = strip(text)
    assert "\n\n7\n\n" in kept
    assert reasons(findings) == ["page number"] * 3


def test_numbered_chapters_are_no_pages():
    text = "\n\n".join(f"{number}\n\nIt was the day {number}." for number in range(1, 9))
    assert strip(text)[0] == text


def test_running_headers_go_with_the_page_numbers():
    pages = [
        f"The dog ran on and\n\nTHE DRY WELL {number}\n\non over the hills."
        for number in range(20, 26)
    ]
    kept, findings = strip("\n\n".join(pages))
    assert "DRY WELL" not in kept
    assert set(reasons(findings)) == {"running header"}


def test_a_header_beside_each_page_number_goes():
    pages = [
        f"The dog ran on and\n\n{number}\n\nTHE DRY WELL\n\non it went." for number in range(20, 26)
    ]
    kept, findings = strip("\n\n".join(pages))
    assert "DRY WELL" not in kept
    assert set(reasons(findings)) == {"running header", "page number"}


def test_days_of_a_diary_are_no_running_headers():
    text = "\n\n".join(f"Day {number}\n\nIt rained again." for number in range(1, 9))
    assert strip(text)[0] == text


@pytest.mark.parametrize("item", ["gold coins {}", "Gold coins {}", "{} gold coins"])
def test_what_is_left_in_the_bag_is_no_page(item):
    text = "\n\n".join(
        f"{PROSE}\n\nShe looked at the list:\n\nrope, torches, oil\n\n{item.format(number)}\n\n"
        "bread\n\nthen shut the bag and slept."
        for number in range(10, 30)
    )
    kept, findings = strip(text)
    assert kept == text
    assert findings.drops == []


def test_chapters_of_an_excerpt_are_no_pages():
    chapters = [
        f"{number}\n\n" + "\n\n".join([PROSE] * (number % 4 + 1)) for number in range(7, 20)
    ]
    text = "\n\n".join(chapters)
    assert strip(text)[0] == text


def test_a_speech_or_a_word_beside_each_page_number_stays():
    pages = [f"Dog {number} ran on and\n\n{number}\n\nbarked\n\n“No.”" for number in range(20, 26)]
    kept, findings = strip("\n\n".join(pages))
    assert kept.count("barked") == kept.count("“No.”") == 6
    assert set(reasons(findings)) == {"page number"}


@pytest.mark.parametrize("heading", [0, 1])
def test_what_has_markup_has_no_pages(heading):
    lines = [Line(1, "The Dog", heading)] + [
        Line(number, line) for number, line in enumerate(["", *PAGES.split("\n")], 2)
    ]
    lines = [line._replace(text=line.text.format(7, 8, 9)) for line in lines]
    findings = Findings()
    kept = strip_boilerplate("x", lines, findings, first=True, last=True, paged=bool(heading))
    assert kept == lines
    assert findings.drops == []


# Tables of contents


def contents(text: str) -> tuple[str, frozenset[str], Findings]:
    findings = Findings()
    found = drop_contents("tale.txt", lines_of(text), findings)
    return "\n".join(line.text for line in found.lines), found.entries, findings


BOOK = """THE WELL

{0}

THE DRY WELL

It was dry.

THE WET WELL

It was wet.

The end of both

They dried up."""


@pytest.mark.parametrize(
    "table",
    [
        "CONTENTS\n\n   The Dry Well\n   The Wet Well\n   The End of Both",
        "Table of Contents:\n\n1. The dry well\n\n2. The wet well\n\n3. The end of both",
        "_Contents_\n\nThe Dry Well ....... 1\nThe Wet Well ....... 12\nThe End of Both .... 30",
    ],
)
def test_a_list_whose_entries_come_later_is_a_table_of_contents(table):
    kept, entries, findings = contents(BOOK.format(table))
    assert "ontents" not in kept
    assert "CONTENTS" not in kept
    assert kept.startswith("THE WELL\n\n")
    assert kept.endswith(BOOK[BOOK.index("THE DRY WELL") :])
    assert {"the dry well", "the wet well", "the end of both"} <= entries
    assert reasons(findings) == ["table of contents"]


def test_a_chapter_named_contents_stays():
    text = (
        "Contents\n\nThe box held a shoe.\n\nA key.\n\nAnd a letter that nobody had read.\n\n"
        + TALE
    )
    assert contents(text)[0] == text


# Anything at all

_SOUP = st.lists(
    st.sampled_from(
        [
            "",
            "The end.",
            "it went on",
            "12",
            "- 13 -",
            "14",
            "CONTENTS",
            "[Illustration: a",
            "dog]",
            "[Pg 3]",
            "{4}",
            "*** START OF THIS PROJECT GUTENBERG EBOOK X ***",
            "*** END OF THIS PROJECT GUTENBERG EBOOK X ***",
            "*END*THE SMALL PRINT!*END*",
            "<<THIS ELECTRONIC VERSION",
            ">>",
            "Transcriber's Note: spelling kept.",
            "All rights reserved.",
        ]
    ),
    max_size=40,
)


@relaxed
@given(_SOUP, st.booleans(), st.booleans())
def test_what_is_not_reported_is_kept_in_order(texts, first, last):
    findings = Findings()
    lines = [Line(number, text) for number, text in enumerate(texts, 1)]
    kept = strip_boilerplate("x", lines, findings, first=first, last=last)
    numbers = [line.number for line in kept]
    assert numbers == sorted(set(numbers))
    total = sum(len("".join(text.split())) for text in texts)
    left = sum(len("".join(line.text.split())) for line in kept)
    gone = sum(findings.dropped_characters.values())
    assert total - left <= gone
    assert (left == total) == (not findings.drops)


def test_a_notice_within_a_notice_is_left_out_once():
    texts = ["The end.", "", "Transcriber's Note: spelling kept.", "All rights reserved.", "So."]
    findings = Findings()
    lines = [Line(number, text) for number, text in enumerate(texts, 1)]
    kept = strip_boilerplate("x", lines, findings, first=True, last=False)
    assert [line.text for line in kept if line.text] == ["The end."]
    assert [drop.reason for drop in findings.drops] == ["transcriber's note"]
