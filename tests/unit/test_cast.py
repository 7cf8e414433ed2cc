"""Who plays: the model one speaker, the person the others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmft.corpus.cast import (
    MAX_NAME_CHARACTERS,
    MAX_OTHERS,
    Cast,
    SpeakerCount,
    cast_document,
    choose_cast,
    rename,
    speaker_name,
)
from lmft.corpus.documents import Document, Message
from lmft.errors import CorpusError
from lmft.format.contract import Speakers

COUNTS = {
    "ORLANDO": SpeakerCount(120, 9_000),
    "ROSALIND": SpeakerCount(201, 30_000),
    "ROSINA": SpeakerCount(7, 100),
    "ADAM": SpeakerCount(8, 2_000),
}


def test_the_model_plays_who_says_most_and_you_the_next():
    cast = choose_cast(COUNTS)
    assert (cast.model, cast.you) == ("ROSALIND", "ORLANDO")
    assert cast.others == ("ADAM", "ROSINA")
    assert cast.reason == (
        "The model plays ROSALIND (201 turns); you play ORLANDO (120) and everyone else; "
        "choose with --model-plays NAME (when training: --set corpus.model_plays=NAME)."
    )


@pytest.mark.parametrize(
    ("model", "you", "expected"),
    [
        ("ADAM", None, ("ADAM", "ROSALIND")),
        ("adam", None, ("ADAM", "ROSALIND")),
        ("orl", None, ("ORLANDO", "ROSALIND")),
        (None, "ADAM", ("ROSALIND", "ADAM")),
        (None, "rosalind", ("ORLANDO", "ROSALIND")),
        ("rosi", "rosa", ("ROSINA", "ROSALIND")),
    ],
)
def test_a_name_is_asked_for_in_any_case_or_by_its_beginning(model, you, expected):
    cast = choose_cast(COUNTS, model_plays=model, you_play=you)
    assert (cast.model, cast.you) == expected
    assert sorted([cast.model, cast.you, *cast.others]) == sorted(COUNTS)


def test_a_whole_name_wins_over_names_that_it_begins():
    counts = {name: SpeakerCount(1, 1) for name in ("Anna", "Annabel", "ANNA")}
    assert choose_cast(counts, model_plays="Anna").model == "Anna"
    with pytest.raises(CorpusError, match="Several speakers could be anna: ANNA, Anna"):
        choose_cast(counts, model_plays="anna")


@pytest.mark.parametrize(
    ("model", "you", "message"),
    [
        ("hamlet", None, "No speaker is called hamlet.* ROSALIND .201., ORLANDO .120., ADAM"),
        (None, "hamlet", "No speaker is called hamlet"),
        ("ros", None, "Several speakers could be ros: ROSALIND, ROSINA"),
        ("adam", "ADAM", "cannot both play ADAM"),
    ],
)
def test_a_wrong_name_is_answered_with_the_right_ones(model, you, message):
    with pytest.raises(CorpusError, match=message):
        choose_cast(COUNTS, model_plays=model, you_play=you)


def test_one_speaker_leaves_you_the_contracts_name():
    cast = choose_cast({"NARRATOR": SpeakerCount(3, 90)})
    assert cast == Cast(
        "NARRATOR", "User", (), "The model plays NARRATOR (3 turns), the only speaker."
    )
    with pytest.raises(CorpusError, match="Only NARRATOR speaks"):
        choose_cast({"NARRATOR": SpeakerCount(3, 90)}, you_play="narrator")


def test_nobody():
    with pytest.raises(CorpusError, match="Nobody speaks"):
        choose_cast({})


def test_others_are_the_most_frequent_and_not_too_many():
    counts = {f"P{n:02}": SpeakerCount(n, 1_000 - n) for n in range(30)}
    others = choose_cast(counts).others
    assert len(others) == MAX_OTHERS
    assert others[:2] == ("P29", "P28")


@given(st.permutations(["A", "B", "C", "D"]))
def test_ties_go_by_name_whatever_the_order(order):
    cast = choose_cast({name: SpeakerCount(5, 50) for name in order})
    assert (cast.model, cast.you, cast.others) == ("A", "B", ("C", "D"))


# Documents

SCENE = Document(
    "play.txt:7",
    kind="chat",
    uncast=True,
    scene=3,
    messages=(
        Message("system", "Enter all."),
        Message("user", "Hello.", "ORLANDO"),
        Message("user", "Hail.", "ADAM"),
        Message("user", "Good day.", "ROSALIND"),
        Message("system", "Exeunt."),
    ),
)


def test_a_document_is_cast():
    cast = choose_cast(COUNTS)
    document = cast_document(SCENE, cast)
    assert document is not None
    assert [turn.role for turn in document.messages] == [
        "system",
        "user",
        "user",
        "assistant",
        "system",
    ]
    assert [turn.name for turn in document.messages] == [turn.name for turn in SCENE.messages]
    assert (document.uncast, document.scene, document.source) == (False, 3, "play.txt:7")


def test_where_the_models_speaker_is_silent_there_is_nothing_to_learn():
    assert cast_document(SCENE, choose_cast(COUNTS, model_plays="ROSINA")) is None


def test_known_roles_stay():
    document = Document("a", kind="chat", messages=(Message("assistant", "Hi.", "ADAM"),))
    assert cast_document(document, choose_cast(COUNTS)) is document


def test_speakers_are_renamed_in_every_turn_and_not_in_their_words():
    turns = (Message("system", "ADAM enters."), Message("user", "ADAM!", "ORLANDO"))
    answer = (Message("assistant", "ORLANDO?", "ADAM", trained=False),)
    document = Document("a", kind="preference", messages=turns, chosen=answer, rejected=answer)
    renamed = rename(document, {"ADAM": "Me", "ORLANDO": "ADAM"})
    assert [turn.name for turn in renamed.messages] == [None, "ADAM"]
    assert (renamed.chosen[0].name, renamed.rejected[0].name) == ("Me", "Me")
    assert renamed.words == document.words
    assert not renamed.chosen[0].trained


# Names


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("  Du.Sen ", "Du.Sen"),
        ("Old\t Tam\n", "Old Tam"),
        ("a:b：c", "abc"),
        ("Bad\u202eName\ud800", "BadName"),
        ("👩\u200d🚀", "👩\u200d🚀"),
        ("x" * 90, "x" * MAX_NAME_CHARACTERS),
        (f"{'x' * 39} y", "x" * 39),
        (" : \x00", "Unnamed"),
    ],
)
def test_a_name_stands_before_a_colon(raw, name):
    assert speaker_name(raw) == name


@given(st.text(max_size=80))
def test_every_name_is_one_that_the_contract_takes(raw):
    name = speaker_name(raw)
    assert Speakers(user=name, assistant=name).user == name
    assert speaker_name(name) == name
