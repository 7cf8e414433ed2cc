"""AI Dungeon's story trees."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmft.corpus.decode import Unreadable
from lmft.corpus.documents import Document
from lmft.corpus.findings import Findings
from lmft.corpus.readers.trees.ai_dungeon import READER
from lmft.corpus.source import SourceFile

relaxed = settings(deadline=None, max_examples=100)

STORY = {
    "tree_id": "knight_1",
    "context": "You are Ada, a knight.",
    "first_story_block": "You enter the forest. A goblin blocks the path.",
    "action_results": [
        {
            "action": "look around",
            "result": "You see a rope.",
            "action_results": [
                {"action": "I take the rope", "result": "You have it.", "action_results": []},
                {"action": '"Who is there?"', "result": "Nobody answers."},
            ],
        },
        {"action": "You attack", "result": "The goblin flees.", "action_results": None},
    ],
}


def read(data: Any, folder: Path) -> tuple[list[Document], Findings]:
    path = folder / "tree.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
    findings = Findings()
    return list(READER.read(SourceFile(path, "tree.json"), findings)), findings


def sniffed(text: str, folder: Path) -> str | None:
    path = folder / "sniffed.json"
    path.write_text(text, encoding="utf-8")
    return READER.sniff(SourceFile(path, "sniffed.json"))


def test_a_tree_becomes_transcripts_with_the_players_lines_in_the_second_person(tmp_path: Path):
    documents, findings = read(STORY, tmp_path)
    assert [document.text for document in documents] == [
        "You are Ada, a knight.\nYou enter the forest. A goblin blocks the path.\n"
        "> You look around.\nYou see a rope.\n> You take the rope.\nYou have it.",
        'You see a rope.\n> You say "Who is there?"\nNobody answers.',
        "You are Ada, a knight.\nYou enter the forest. A goblin blocks the path.\n"
        "> You attack.\nThe goblin flees.",
    ]
    assert all(document.ends for document in documents)
    assert not findings.faults


def test_a_list_holds_several_trees_each_a_story_of_its_own(tmp_path: Path):
    other = {"story_start": "A ship.", "action_results": [{"action": "sail", "result": "Waves."}]}
    documents, _ = read([STORY, other], tmp_path)
    assert [document.source for document in documents] == ["tree.json#1"] * 3 + ["tree.json#2"]
    assert all(document.begins for document in documents)
    assert documents[-1].text == "A ship.\n> You sail.\nWaves."


def test_wrong_types_are_faults_that_name_the_place_and_the_rest_goes_on(tmp_path: Path):
    story = {
        "first_story_block": "Start.",
        "action_results": [
            {"action": "a", "result": None},
            {"action": ["b"], "result": "x"},
            7,
            {"action": "go", "result": "Gone.", "action_results": [{"action": "on", "result": 3}]},
            {"action": "stay", "result": "Stayed.", "action_results": {"no": "list"}},
            None,
        ],
    }
    documents, findings = read([{"action_results": []}, "no tree", story], tmp_path)
    assert [document.ends for document in documents] == [False, True], "what was cut off is no end"
    assert [document.text.strip() for document in documents] == [
        "Start.\n> You go.\nGone.",
        "Start.\n> You stay.\nStayed.",
    ]
    assert [str(fault).partition(":")[2].strip() for fault in findings.faults] == [
        "[0].first_story_block is not text: give the opening as text",
        "[1] is no story tree: give an object",
        "[2].action_results[0].result is not text: give text",
        "[2].action_results[1].action is not text: give text",
        "[2].action_results[2] is not an object with `action` and `result`",
        "[2].action_results[4].action_results is not a list: give a list",
        "[2].action_results[3].action_results[0].result is not text: give text",
    ]


def test_250_turns_deep_is_one_document_with_a_short_place_in_its_faults(tmp_path: Path):
    node: dict[str, Any] = {"action": "fall", "result": 0}
    for turn in range(250):
        node = {"action": f"walk on {turn}", "result": "Trees.", "action_results": [node]}
    story = {"first_story_block": "A wood.", "action_results": [node]}
    (document,), findings = read(story, tmp_path)
    assert document.text.count("\n> You walk on") == 250
    assert len(str(findings.faults[0])) < 300


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"action_results": 3}', "[[[1]]]", "[" * 9999])
def test_what_holds_no_story_is_unreadable(text: str, tmp_path: Path):
    with pytest.raises(Unreadable):
        read(text, tmp_path)


def test_only_story_trees_are_claimed(tmp_path: Path):
    assert "tree_id" in (sniffed(json.dumps(STORY), tmp_path) or "")
    assert sniffed("\n [" + json.dumps(STORY), tmp_path)
    assert sniffed('{"messages": [], "tree_id": "x"}', tmp_path) is None
    assert sniffed('{"action_results": []}', tmp_path) is None
    assert sniffed('The keys "action_results": [ and "tree_id": were there.', tmp_path) is None


_JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["action", "result", "action_results", "first_story_block", "context"]),
            inner,
        )
    ),
    max_leaves=20,
)


@given(_JSON)
@relaxed
def test_any_json_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: Any):
    try:
        documents, _ = read(data, tmp_path_factory.getbasetemp())
    except Unreadable:
        return
    assert all(document.text for document in documents)
