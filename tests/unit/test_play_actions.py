"""What a player types, as a line of the story."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lmft.play.actions import player_line

relaxed = settings(deadline=None, max_examples=300)


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ("open the door", "You open the door."),
        ("Open the door.", "You open the door."),
        ("> open the door", "You open the door."),
        ("  open \n the  door  ", "You open the door."),
        ("You open the door.", "You open the door."),
        ("you open the door", "You open the door."),
        ("you're asleep", "You're asleep."),
        ("You, there!", "You, there!"),
        ("your turn", "You your turn."),
        ("run!", "You run!"),
        ("wait...", "You wait..."),
        ("wait…", "You wait…"),
        ("USE the key", "You USE the key."),
        ("McDuff follow", "You McDuff follow."),
        ("I attack the orc with my sword", "You attack the orc with your sword."),
        ("I am tired", "You are tired."),
        ("I'm tired", "You are tired."),
        ("I’m tired and I’ve had enough", "You are tired and you have had enough."),
        ("we are lost", "You are lost."),
        ("tell him that it is mine", "You tell him that it is yours."),
        ("mine the ore", "You mine the ore."),
        ("give me our myth, item by item", "You give you your myth, item by item."),
        ('tell her "I am your friend" and bow', 'You tell her "I am your friend" and bow.'),
        ("tell her “I am your friend”", 'You tell her "I am your friend"'),
        ('"who goes there?"', 'You say "Who goes there?"'),
        ("", ""),
        ("   ", ""),
    ],
)
def test_a_deed_is_a_sentence_in_the_second_person(typed, line):
    assert player_line("do", typed) == line


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ("who goes there?", 'You say "Who goes there?"'),
        ('"hello"', 'You say "Hello."'),
        ("“hello”", 'You say "Hello."'),
        ("I am here!", 'You say "I am here!"'),
        ("two\nlines", 'You say "Two lines."'),
        ("", ""),
    ],
)
def test_speech_is_quoted_and_keeps_its_own_person(typed, line):
    assert player_line("say", typed) == line


def test_story_is_taken_as_it_stands():
    assert player_line("story", " I wake.\n\nmy “lamp” is out ") == "I wake.\n\nmy “lamp” is out"


plain = st.lists(st.text(alphabet="abeimoruswyMI'", min_size=1, max_size=6), min_size=1, max_size=6)


@relaxed
@given(plain.map(" ".join))
@example("me")
@example("I")
@example("we are")
def test_a_line_that_is_made_stays_as_it_is(typed):
    line = player_line("do", typed)
    assert player_line("do", line) == line
    assert line.startswith("You")


@relaxed
@given(st.sampled_from(["do", "say", "story"]), st.text())
@example("do", ">")
@example("do", '"')
@example("say", '""')
def test_any_input_gives_one_line_or_nothing(mode, typed):
    line = player_line(mode, typed)
    assert bool(line) == bool(typed.strip())
    if mode != "story":
        assert "\n" not in line
        assert not line or line.startswith("You")
