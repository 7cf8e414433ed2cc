"""The story as the page keeps it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from ui.models import Model, Speakers
from ui.saved import from_json, to_json
from ui.story import PlayerLine, Reply, Step, Story


def reply(text: str, **more: object) -> Reply:
    return Reply(text, "ft:embedded:me:adventure:1", "0c9e6ab1f2d4", "stop", **more)


OPEN = PlayerLine("do", "open the door", "> You open the door.")
CALL = PlayerLine("say", "hello")


@pytest.fixture
def story() -> Story:
    """An opening, a turn with three tellings (the second chosen), and a continuation."""
    told = Story("A door.", "ft:1").told(OPEN, reply("It opens."))
    told = told.retold(reply("It is locked.")).retold(reply("It is gone.")).choose(-1)
    return told.told(None, reply("Rain."))


def test_turns_are_what_the_server_is_to_continue(story: Story) -> None:
    assert story.turns(CALL) == [
        {"by": "narrator", "text": "A door."},
        {"by": "player", "mode": "do", "text": "open the door"},
        {"by": "narrator", "text": "It is locked."},
        {"by": "narrator", "text": "Rain."},
        {"by": "player", "mode": "say", "text": "hello"},
    ]
    assert story.turns()[-1]["by"] == "narrator"
    assert Story().turns() == []
    assert Story("  ").turns(CALL) == [{"by": "player", "mode": "say", "text": "hello"}]


def test_retry_asks_the_same_again_and_keeps_every_telling(story: Story) -> None:
    once = Story("A door.").told(OPEN, reply("It opens."))
    before, line = once.without_last_reply()
    assert before.turns(line) == Story("A door.").turns(OPEN)
    twice = once.retold(reply("It is locked."))
    assert [telling.text for telling in twice.steps[-1].replies] == ["It opens.", "It is locked."]
    assert twice.steps[-1].reply.text == "It is locked."


def test_choosing_stops_at_both_ends() -> None:
    told = Story("A door.").told(OPEN, reply("1")).retold(reply("2"))
    assert told.choose(+1).steps[-1].reply.text == "2"
    assert told.choose(-1).steps[-1].reply.text == "1"
    assert told.choose(-1).choose(-1).steps[-1].reply.text == "1"
    assert Story().choose(1) == Story()


def test_undo_and_redo_walk_there_and_back(story: Story) -> None:
    assert story.undo().undo().steps == ()
    assert story.undo().undo().redo().redo() == story
    # The tellings come back with the step.
    assert len(story.undo().undo().redo().steps[0].replies) == 3
    assert story.redo() == story
    assert Story("A door.").undo() == Story("A door.")
    assert not Story("A door.").can_undo


def test_a_new_turn_ends_the_undone_future(story: Story) -> None:
    assert story.undo().told(CALL, reply("Echo.")).undone == ()


def test_a_failed_turn_changes_nothing_but_the_draft(story: Story) -> None:
    asked = story.asked(CALL)
    assert replace(asked, draft=None) == story
    assert asked.draft == CALL
    assert asked.told(CALL, reply("Echo.")).draft is None


def test_a_new_story_keeps_the_old_one_for_undo(story: Story) -> None:
    fresh = story.anew(" A ship. ")
    assert fresh.opening == "A ship."
    assert fresh.can_undo
    assert fresh.undo() == story
    # Beginning again and again from a fresh page does not push the real story out.
    assert fresh.anew("A hill.").anew("A well.").undo() == story
    # Played and undone: one click of Undo too many must not drop what Redo would bring back.
    undone = fresh.told(CALL, reply("Gulls.")).undo()
    assert not undone.can_undo
    assert undone.undo() == undone


def test_only_one_old_story_is_kept(story: Story) -> None:
    second = story.anew("A ship.").told(CALL, reply("Gulls."))
    third = second.anew("A hill.")
    assert third.before is not None
    assert third.before.before is None
    assert third.before.opening == "A ship."


def test_a_stock_opening_gives_way_to_the_narrators_own() -> None:
    hesper = Model("ft:2", kind="chat", opening="Sit.", speakers=Speakers("Traveller", "Hesper"))
    stock = {"", "A door."}
    assert Story("A door.").narrated_by(hesper, stock).opening == "Sit."
    assert Story("A door.").narrated_by(hesper, stock).speakers == ("Traveller", "Hesper")
    assert Story("My own.").narrated_by(hesper, stock).opening == "My own."
    played = Story("A door.").told(CALL, reply("Echo."))
    assert played.narrated_by(hesper, stock).opening == "A door."
    assert played.narrated_by(hesper, stock).model == "ft:2"


def test_the_browser_gives_back_what_it_was_given(story: Story) -> None:
    full = story.undo().anew("A ship.").told(CALL, reply("Gulls.", seed=7, tokens=2, dropped=1))
    full = replace(full.asked(CALL), speakers=Speakers("Traveller", "Hesper"))
    assert from_json(json.loads(json.dumps(to_json(full)))) == full


@pytest.mark.parametrize(
    "junk",
    [
        None,
        "text",
        [],
        {},
        {"version": 99},
        {"version": 1},
        to_json(Story()) | {"steps": [{"player": None, "replies": [], "chosen": 0}]},
        to_json(Story()) | {"steps": [{"player": None}]},
        to_json(Story()) | {"steps": 7},
        to_json(Story()) | {"draft": {"mode": "shout", "text": "a", "shown": ""}},
        to_json(Story()) | {"speakers": ["only one"]},
    ],
)
def test_junk_in_the_browsers_storage_is_a_fresh_story(junk: object) -> None:
    assert from_json(junk) == Story()


def test_a_step_shows_its_chosen_reply() -> None:
    assert Step(None, (reply("1"), reply("2")), chosen=1).reply.text == "2"
