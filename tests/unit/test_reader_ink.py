"""Ink's compiled stories."""

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
from lmft.corpus.readers.trees.ink import READER
from lmft.corpus.source import SourceFile

relaxed = settings(deadline=None, max_examples=60)


def own_words(words: str, target: str) -> list[Any]:
    """`+ [words] -> target` as the compiler writes it."""
    return ["ev", "str", f"^{words}", "/str", "/ev", {"*": target, "flg": 4}]


def start_words(number: int, words: str) -> list[Any]:
    """`* words` in a weave at `0.number`: the words are a function of the choice and its text."""
    return [
        *["ev", {"^->": f"0.{number}.$r1"}, {"temp=": "$r"}, "str", {"->": ".^.s"}],
        *[[{"#n": "$r1"}], "/str", "/ev", {"*": f"0.c-{number}", "flg": 18}],
        {"s": [f"^{words}", {"->": "$r", "var": True}, None]},
    ]


def chosen(number: int, *after: Any) -> list[Any]:
    return [
        *["ev", {"^->": f"0.c-{number}.$r2"}, "/ev", {"temp=": "$r"}],
        *[{"->": f"0.{number}.s"}, [{"#n": "$r2"}], *after, {"#f": 5}],
    ]


WEAVE = [
    [
        "^Once upon a time...",
        "\n",
        start_words(2, "Walk on"),
        start_words(3, '"Hello."'),
        {
            "c-2": chosen(2, "\n", {"->": "0.g-0"}),
            "c-3": chosen(3, "^ I bowed.", "\n", "^Nobody answered.", "\n", {"->": "0.g-0"}),
            "g-0": ["^They lived.", "\n", "end", ["done", {"#f": 5, "#n": "g-1"}], {"#f": 5}],
        },
    ],
    "done",
    {"#f": 1},
]


def hub(*, unused: bool = False) -> list[Any]:
    """A hub with a loop, an end, a tunnel, and a knot that only an else branch leads to."""
    knots: dict[str, Any] = {
        "hub": [
            *["^The square. You have ", "ev", {"VAR?": "gold"}, "out", "/ev", "^ coins.", "\n"],
            *[
                {"->t->": "bell"},
                *own_words("look around", ".^.c-0"),
                *own_words("leave", ".^.c-1"),
            ],
            {
                "c-0": ["\n", "^A well.", "\n", {"->": "hub"}, {"#f": 5}],
                "c-1": [
                    *["\n", "ev", {"VAR?": "gold"}, 3, ">", "/ev"],
                    [
                        {"->": ".^.b", "c": True},
                        {"b": ["\n", {"->": "rich"}, {"->": ".^.^.^.8"}, None]},
                    ],
                    [{"->": ".^.b"}, {"b": ["\n", {"->": "poor"}, {"->": ".^.^.^.8"}, None]}],
                    *["nop", "\n", {"#f": 5}],
                ],
                "#f": 1,
            },
        ],
        "bell": [
            *["^A bell ", "ev", {"f()": "sound"}, "out", "/ev", "<>", "\n", "^!", "\n"],
            *["ev", "void", "/ev", "->->", None],
        ],
        "sound": ["^rings", "\n", None],
        "rich": ["^You ride away.", "\n", "end", None],
        "poor": ["^You walk away.", "\n", "end", None],
        "global decl": ["ev", 5, {"VAR=": "gold"}, "/ev", "end", None],
    }
    if unused:
        knots["attic"] = ["^Nobody comes here.", "\n", "end", None]
    return [[{"->": "hub"}, ["done", {"#n": "g-0"}], None], "done", knots]


def compiled(root: Any) -> str:
    return json.dumps({"inkVersion": 21, "root": root, "listDefs": {}})


def read(text: str, folder: Path) -> tuple[list[Document], Findings]:
    path = folder / "story.ink.json"
    path.write_text(text, encoding="utf-8")
    findings = Findings()
    return list(READER.read(SourceFile(path, "story"), findings)), findings


def texts(root: Any, folder: Path) -> list[str]:
    return [document.text for document in read(compiled(root), folder)[0]]


def test_choices_become_the_players_lines_and_are_not_said_twice(tmp_path: Path):
    documents, findings = read(compiled(WEAVE), tmp_path)
    assert [document.text for document in documents] == [
        "Once upon a time...\n> You walk on.\nThey lived.",
        'Once upon a time...\n> You say "Hello."\n"Hello." I bowed.\nNobody answered.\nThey lived.',
    ]
    assert [document.begins for document in documents] == [True, True]
    assert all(document.ends for document in documents)
    assert (findings.faults, findings.drops, findings.notes) == ([], [], [])


def test_a_byte_order_mark_is_no_hindrance(tmp_path: Path):
    documents, _ = read("\ufeff" + compiled(WEAVE), tmp_path)
    assert len(documents) == 2
    path = tmp_path / "story.ink.json"
    assert READER.sniff(SourceFile(path, "story")) == "has Ink's `inkVersion` and `root`"


def test_a_loop_tunnels_functions_variables_and_glue(tmp_path: Path):
    square = "The square. You have 5 coins.\nA bell rings!"
    first, *others = texts(hub(), tmp_path)
    assert first == (
        f"{square}\n> You look around.\nA well.\n{square}\n> You leave.\nYou ride away."
    )
    assert others == ["You walk away."], "a knot that only the other branch leads to"


def test_text_that_no_way_tells_is_dropped_and_counted(tmp_path: Path):
    _, findings = read(compiled(hub(unused=True)), tmp_path)
    assert [(drop.reason, drop.excerpt) for drop in findings.drops] == [
        ("Ink text that is not told on a first visit", "Nobody comes here."),
    ]


def test_a_choice_without_its_target_is_dropped_and_is_no_ending(tmp_path: Path):
    root = [["^Start.", "\n", *own_words("fall", "nowhere.c-1"), None], "done", None]
    (document,), findings = read(compiled(root), tmp_path)
    assert (document.text.strip(), document.ends) == ("Start.", False)
    assert list(findings.dropped_places) == ["choice whose passage is not in the file"]


def test_the_fallback_is_taken_after_the_other_choices(tmp_path: Path):
    root = [
        [
            *["^Well?", "\n", {"*": "0.c-0", "flg": 24}, *own_words("sing", "0.c-1")],
            {"c-0": ["^Silence.", "\n", "end", None], "c-1": ["^A song.", "\n", "end", None]},
        ],
        "done",
        None,
    ]
    assert texts(root, tmp_path) == ["Well?\n> You sing.\nA song.", "Well?\nSilence."]


def test_the_first_of_a_sequence_is_told_and_tags_are_not(tmp_path: Path):
    sequence = [
        *["ev", "visit", 1, "MIN", "/ev", "ev", "du", 0, "==", "/ev", {"->": ".^.s0", "c": True}],
        *["ev", "du", 1, "==", "/ev", {"->": ".^.s1", "c": True}, "nop"],
        {
            "s0": ["pop", "^one", {"->": ".^.^.17"}, None],
            "s1": ["pop", "^two", {"->": ".^.^.17"}, None],
            "#f": 5,
        },
    ]
    root = [["^Say ", sequence, "^.", "#", "^mood: calm", "/#", "\n", None], "done", None]
    assert texts(root, tmp_path) == ["Say one."]


def test_what_only_a_game_knows_is_left_out_with_a_note(tmp_path: Path):
    root = [
        [
            *["^It is ", "ev", {"x()": "clock", "exArgs": 0}, "out", "/ev", "^ now.", "\n"],
            *["ev", {"VAR?": "unset"}, 2, "*", "/ev", [{"->": ".^.b", "c": True}]],
            None,
        ],
        "done",
        None,
    ]
    documents, findings = read(compiled(root), tmp_path)
    assert documents[0].text.strip() == "It is now."
    assert findings.notes == [
        "story: 1 values in the Ink story are known only while it is played; they are left out"
    ]


AGAIN = {"again": ["^and", "\n", {"->": "again"}, None]}
DEEPER = {"in": ["^Deep.", "\n", {"->t->": "in"}, None]}


@pytest.mark.parametrize(
    ("root", "start"),
    [
        ([["^Round", "\n", {"->": "again"}, None], "done", AGAIN], "Round\nand\nand"),
        ([["^On ", {"->": "0"}, None], "done", None], "On On On"),
        ([[{"->t->": "in"}, None], "done", DEEPER], "Deep.\nDeep.\n"),
        ([["^Sum ", "ev", 9e9, "du", "*", "du", "*", "out", "/ev", {"->": "0"}]], "Sum Sum"),
    ],
)
def test_a_story_that_turns_in_a_circle_stops_and_has_no_end(root: Any, start: str, tmp_path: Path):
    (document,), _ = read(compiled(root), tmp_path)
    assert document.text.startswith(start)
    assert len(document.text) < 5_000
    assert not document.ends


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[1]",
        '{"inkVersion": 21}',
        '{"inkVersion": 21, "root": {}}',
        '{"inkVersion": 21, "root": ' + "[" * 3_000 + "]" * 3_000 + "}",
        compiled([]),
        compiled([["done", None], None]),
    ],
)
def test_what_holds_no_story_is_unreadable(text: str, tmp_path: Path):
    with pytest.raises(Unreadable):
        read(text, tmp_path)


def test_other_json_is_not_claimed(tmp_path: Path):
    path = tmp_path / "a.json"
    for text in (
        '{"root": [], "inkVersion": "x"}',
        '[{"inkVersion": 21}]',
        "An inkVersion, a root.",
    ):
        path.write_text(text, encoding="utf-8")
        assert READER.sniff(SourceFile(path, "a.json")) is None


_WORDS = ["^text", "\n", "<>", "ev", "/ev", "str", "/str", "out", "pop", "du", "+", "==", "thread"]
_WORDS += [
    "done",
    "end",
    "~ret",
    "->->",
    "void",
    "visit",
    "seq",
    "#",
    "/#",
    "choiceCnt",
    "LIST_MIN",
]
_PATHS = st.sampled_from(
    ["0", "a", "a.b", ".^", ".^.^", ".^.0", "0.1", "b.a.0", "..", "", "99", "x"]
)
_LEAF = (
    st.sampled_from(_WORDS)
    | st.integers(-3, 3)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.none()
    | st.booleans()
    | st.builds(
        lambda key, path, more: {key: path, **more},
        st.sampled_from(["->", "f()", "->t->", "*", "VAR?", "VAR=", "temp=", "^->", "x()", "CNT?"]),
        _PATHS | st.integers(),
        st.sampled_from([{}, {"c": True}, {"var": True}, {"flg": 30}, {"exArgs": 2}, {"flg": "x"}]),
    )
)
_ROOT = st.recursive(
    _LEAF,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.builds(
            lambda items, named: [*items, named],
            st.lists(inner, max_size=4),
            st.dictionaries(
                st.sampled_from(["a", "b", "#n", "#f", "global decl"]), inner, max_size=3
            ),
        )
    ),
    max_leaves=25,
)


@given(st.lists(_ROOT, max_size=5))
@relaxed
def test_any_container_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, root: Any):
    try:
        documents, _ = read(compiled(root), tmp_path_factory.getbasetemp())
    except Unreadable:
        return
    assert all(document.text.strip() for document in documents)
