"""Turns to the prompt that continues the story, fitted to the context."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmft.corpus.documents import Message
from lmft.format.contract import FormatContract, Speakers
from lmft.format.render import render_chat_prompt
from lmft.play.story import Turn, build_prompt, render_story

relaxed = settings(deadline=None, max_examples=200)

ADVENTURE = FormatContract(kind="adventure", stop=("\n>",), eos="<eos>", context_length=1024)
HESPER = Speakers(user="Traveller", assistant="Hesper")
CHAT = FormatContract(kind="chat", speakers=HESPER, eos="<eos>", context_length=1024)
ROOM = 10_000


def narrator(text: str) -> Turn:
    return Turn("narrator", text)


def player(text: str, mode: str = "do") -> Turn:
    return Turn("player", text, mode)


def count_words(text: str) -> int:
    return len(text.split())


OPENING = narrator("You stand before a door.")


def test_an_action_is_set_in_by_the_template_and_the_prompt_ends_after_it():
    prompt = build_prompt([OPENING, player("open it")], ADVENTURE, count_words, ROOM)
    assert prompt.text == "You stand before a door.\n> You open it.\n"
    assert prompt.player_line == "> You open it."
    assert not prompt.continues
    assert prompt.dropped_turns == 0


def test_the_next_prompt_goes_on_from_the_last_one():
    turns = [OPENING, player("open it"), narrator("It creaks."), player("go in"), narrator("Dark.")]
    for length in (2, 4):
        before = build_prompt(turns[:length], ADVENTURE, count_words, ROOM).text
        after = build_prompt(turns[: length + 1], ADVENTURE, count_words, ROOM).text
        assert after == before + turns[length].text


def test_a_template_may_hold_other_braces():
    contract = ADVENTURE.model_copy(update={"turn_template": "\n{player}: {action} {0}\n"})
    assert render_story([OPENING, player("run {x}")], contract).endswith(
        "\n{player}: You run {x}. {0}\n"
    )


def test_the_narrator_goes_on_in_the_same_paragraph():
    prompt = build_prompt(
        [OPENING, narrator("It is black. "), narrator("Oak.")], ADVENTURE, count_words, ROOM
    )
    assert prompt.text == "You stand before a door. It is black. Oak."
    assert prompt.continues
    assert prompt.player_line == ""


def test_a_players_piece_of_story_is_a_paragraph_and_the_reply_the_next():
    turns = [OPENING, player("A bell rings.\n\nTwice.", "story")]
    prompt = build_prompt(turns, ADVENTURE, count_words, ROOM)
    assert prompt.text == "You stand before a door.\nA bell rings.\n\nTwice.\n"
    assert prompt.player_line == "A bell rings.\n\nTwice."
    told = [*turns, narrator("Silence."), player("listen")]
    assert render_story(told, ADVENTURE) == prompt.text + "Silence.\n> You listen.\n"


def test_speech_is_an_action():
    assert render_story([OPENING, player("open up!", "say")], ADVENTURE).endswith(
        '\n> You say "Open up!"\n'
    )


def test_a_story_that_begins_with_an_action_begins_without_a_blank_line():
    assert render_story([player("wake")], ADVENTURE) == "> You wake.\n"


def test_empty_turns_are_none():
    turns = [narrator(" "), OPENING, player("\n"), narrator("")]
    assert build_prompt(turns, ADVENTURE, count_words, ROOM).text == OPENING.text


@pytest.mark.parametrize("turns", [[], [narrator("  "), player("")]])
def test_nothing_to_continue_is_an_error(turns):
    with pytest.raises(ValueError, match="give an opening first"):
        build_prompt(turns, ADVENTURE, count_words, ROOM)
    assert render_story(turns, ADVENTURE) == ""


def test_quotes_are_folded_in_the_prompt_and_in_what_is_shown():
    contract = ADVENTURE.model_copy(update={"fold_quotes": True})
    prompt = build_prompt(
        [narrator("“Halt!”"), player("“No”", "story")], contract, count_words, ROOM
    )
    assert prompt.text == '"Halt!"\n"No"\n'
    assert prompt.player_line == '"No"'


# Chat


def test_a_chat_is_rendered_as_in_training():
    said = [("user", "Any\n\nrooms?"), ("assistant", "Two, duck."), ("user", "Warm?")]
    turns = [Turn("player" if role == "user" else "narrator", text) for role, text in said]
    prompt = build_prompt(turns, CHAT, count_words, ROOM)
    assert prompt.text == render_chat_prompt([Message(*pair) for pair in said], CHAT)
    assert prompt.text.endswith("Traveller: Warm?\nHesper:")
    assert prompt.player_line == "Warm?"


def test_a_character_who_spoke_last_speaks_again():
    prompt = build_prompt([narrator("Evening.")], CHAT, count_words, ROOM)
    assert prompt.text == "Hesper: Evening.\nHesper:"
    assert prompt.continues


# Fitting


def exchange(number: int) -> list[Turn]:
    return [player(f"action {number}"), narrator(f"Answer {number} comes at once.")]


LONG = [OPENING, *(turn for number in range(20) for turn in exchange(number)), player("the last")]


def test_the_opening_is_pinned_and_the_oldest_turns_after_it_go_first():
    prompt = build_prompt(LONG, ADVENTURE, count_words, 60)
    assert prompt.text.startswith("You stand before a door.")
    assert prompt.text.endswith("> You the last.\n")
    assert "Answer 19 comes at once." in prompt.text
    assert "Answer 0 comes" not in prompt.text
    assert 0 < prompt.dropped_turns < len(LONG) - 2


def test_the_seam_after_the_opening_is_never_pasted():
    for room in range(12, 60):
        text = build_prompt(LONG, ADVENTURE, count_words, room).text
        seam = text.removeprefix(OPENING.text)[0]
        assert seam.isspace(), text[:60]


@relaxed
@given(
    st.lists(
        st.builds(
            Turn,
            st.sampled_from(["narrator", "player"]),
            st.text(alphabet="ab .\n", min_size=1, max_size=40).filter(str.strip),
            st.sampled_from(["do", "say", "story"]),
        ),
        min_size=1,
        max_size=12,
    ),
    st.sampled_from([ADVENTURE, CHAT]),
    st.integers(1, 60),
)
def test_a_prompt_fits_keeps_both_ends_and_drops_no_more_than_it_must(turns, contract, room):
    ends = [turns[0], turns[-1]] if len(turns) > 1 else turns
    if count_words(render_story(ends, contract)) > room:
        with pytest.raises(ValueError, match=f"longer than the {room} tokens"):
            build_prompt(turns, contract, count_words, room)
        return
    prompt = build_prompt(turns, contract, count_words, room)
    kept = [turns[0], *turns[1 + prompt.dropped_turns :]]
    assert count_words(prompt.text) <= room
    assert prompt.text == render_story(kept, contract)
    assert kept[-1] == turns[-1]
    if prompt.dropped_turns:
        one_more = [turns[0], *turns[prompt.dropped_turns :]]
        assert count_words(render_story(one_more, contract)) > room
