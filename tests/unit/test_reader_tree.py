"""A graph of passages and choices, told as transcripts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmft.corpus.documents import Document
from lmft.corpus.findings import Findings
from lmft.corpus.readers.trees import tree
from lmft.corpus.readers.trees.actions import action_line
from lmft.corpus.readers.trees.tree import Choice, Passage, tell

relaxed = settings(deadline=None, max_examples=200)

CAVE = {
    "mouth": Passage("You stand before a cave.", (Choice("in", "hall"), Choice("home", "end"))),
    "hall": Passage("A hall.", (Choice("left", "pool"), Choice("right", "dead"))),
    "pool": Passage("A pool."),
    "dead": Passage("You fall."),
    "end": Passage("Tea."),
}


def told(
    passages: dict[str, Passage], *starts: str, findings: Findings | None = None
) -> list[Document]:
    return list(tell(passages, starts, "story", findings or Findings()))


def texts(documents: list[Document]) -> list[str]:
    return [document.text for document in documents]


def test_the_first_way_has_the_full_history_and_the_others_their_parents_text_only():
    documents = told(CAVE, "mouth")
    assert texts(documents) == [
        "You stand before a cave.\n> in\nA hall.\n> left\nA pool.",
        "A hall.\n> right\nYou fall.",
        "You stand before a cave.\n> home\nTea.",
    ]
    assert all(document.begins for document in documents)
    assert all(document.ends and document.kind == "adventure" for document in documents)


def test_a_loop_is_walked_once_and_does_not_end():
    loop = {
        "hub": Passage("The hub.", (Choice("a", "a"), Choice("b", "b"))),
        "a": Passage("Room a.", (Choice("back", "hub"),)),
        "b": Passage("Room b.", (Choice("back", "hub"),)),
    }
    (document,) = told(loop, "hub")
    assert document.text == (
        "The hub.\n> a\nRoom a.\n> back\nThe hub.\n> b\nRoom b.\n> back\nThe hub."
    )
    assert document.begins
    assert not document.ends


def test_what_is_new_is_told_before_the_way_back():
    room = {
        "hub": Passage("Hub.", (Choice("go", "room"),)),
        "room": Passage("Room.", (Choice("back", "hub"), Choice("on", "end"))),
        "end": Passage("End."),
    }
    first, second = told(room, "hub")
    assert first.text == "Hub.\n> go\nRoom.\n> on\nEnd."
    assert (second.text, second.ends) == ("Room.\n> back\nHub.", False)


def test_a_story_may_go_on_without_an_action_and_within_a_line():
    passages = {
        "a": Passage("One", (Choice("", "b"),)),
        "b": Passage(", two.", (Choice("", "c"),), inline=True),
        "c": Passage("", (Choice("", "d"),)),
        "d": Passage("Three."),
    }
    assert texts(told(passages, "a")) == ["One, two.\nThree."]


def test_choices_that_lead_nowhere_and_passages_nobody_leads_to_are_dropped_and_counted():
    findings = Findings()
    passages = {
        "a": Passage("Start.", (Choice("fall", "missing"),), line=7),
        "lost": Passage("Nobody comes here.", line=9),
    }
    (document,) = told(passages, "a", findings=findings)
    assert document.text.strip() == "Start."
    assert not document.ends, "a broken choice is no ending"
    assert document.source == "story:7"
    assert [(drop.reason, drop.first_line) for drop in findings.drops] == [
        ("choice whose passage is not in the file", 7),
        ("passage that nothing leads to", 9),
    ]


def test_other_ways_in_are_told_after_the_start():
    passages = {"a": Passage("A."), "b": Passage("B.", (Choice("on", "a"),))}
    assert texts(told(passages, "a", "b", "b", "none")) == ["A.", "B.\n> on\nA."]


def test_a_chain_of_50000_passages_is_one_document():
    chain = {str(n): Passage(f"p{n}.", (Choice("on", str(n + 1)),)) for n in range(50_000)}
    chain["50000"] = Passage("The end.")
    (document,) = told(chain, "0")
    assert document.text.count("\n> on\n") == 50_000
    assert document.text.endswith("The end.")
    assert document.ends


def test_a_story_without_text_gives_no_document():
    assert told({"a": Passage("", (Choice("", "b"),)), "b": Passage(" \n")}, "a") == []


def test_the_number_of_documents_is_bounded_and_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tree, "MAX_DOCUMENTS", 3)
    findings = Findings()
    choices = tuple(Choice(f"go {n}", f"{n}") for n in range(9))
    passages = {"s": Passage("Start.", choices)} | {str(n): Passage(f"{n}.") for n in range(9)}
    assert len(told(passages, "s", findings=findings)) == 3
    assert "3 ways" in findings.notes[0]


def test_a_long_passage_with_many_choices_is_not_told_for_each(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tree, "MAX_RETOLD_CHARACTERS", 250)
    findings = Findings()
    choices = tuple(Choice(f"go {n}", f"{n}") for n in range(9))
    passages = {"s": Passage("x" * 100, choices)} | {str(n): Passage(f"{n}.") for n in range(9)}
    documents = told(passages, "s", findings=findings)
    assert sum("x" in document.text for document in documents) == 3
    assert texts(documents)[-1] == "> go 8\n8."
    assert len(findings.notes) == 1


@pytest.mark.parametrize(
    ("choice", "line"),
    [
        ("look around", "You look around."),
        ("Open the  door", "You open the door."),
        ("I draw my sword", "You draw your sword."),
        ("You wait.", "You wait."),
        ('"who goes there?"', 'You say "Who goes there?"'),
        ("“Run!”", 'You say "Run!"'),
        ('"Stop," you say, "now"', '"Stop," you say, "now"'),
        ("The red door", "The red door"),
        ("Yes", "Yes"),
        ("Take it?", "Take it?"),
        ("Take " + "a very long way " * 6, ("Take " + "a very long way " * 6).strip()),
        ("...", "..."),
        ("", ""),
        ("> You look at the door.", "You look at the door."),
        (">> look around", "You look around."),
        ("> What is that?", "What is that?"),
        (">", ""),
    ],
)
def test_a_choice_becomes_the_players_line(choice: str, line: str):
    assert action_line(choice) == line


_GRAPHS = st.integers(1, 12).flatmap(
    lambda n: st.lists(
        st.lists(st.integers(0, n - 1), max_size=4).map(tuple), min_size=n, max_size=n
    )
)


@given(_GRAPHS)
@relaxed
def test_every_passage_in_reach_is_told_and_every_choice_is_taken_once(
    graph: list[tuple[int, ...]],
):
    passages = {
        f"{node}": Passage(
            f"[text {node}]",
            tuple(Choice(f"<{node} {number}>", f"{target}") for number, target in enumerate(edges)),
        )
        for node, edges in enumerate(graph)
    }
    reach, waiting = {0}, [0]
    while waiting:
        new = [node for node in graph[waiting.pop()] if node not in reach]
        reach.update(new)
        waiting += new
    documents = told(passages, "0")
    everything = "".join(texts(documents))
    for node, edges in enumerate(graph):
        assert (f"[text {node}]" in everything) == (node in reach)
        for number in range(len(edges)):
            assert everything.count(f"<{node} {number}>") == (node in reach)
    assert all(document.begins for document in documents)
    for document in documents:
        last = int(document.text.rpartition("[text ")[2].partition("]")[0])
        assert document.ends == (not graph[last])
