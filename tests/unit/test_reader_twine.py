"""Twine stories: Twee source and published HTML."""

from __future__ import annotations

import html
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmft.corpus.decode import Unreadable
from lmft.corpus.documents import Document
from lmft.corpus.findings import Findings
from lmft.corpus.readers.trees.tree import Choice
from lmft.corpus.readers.trees.twine import READER
from lmft.corpus.readers.trees.twine_markup import clean, first_values
from lmft.corpus.source import SourceFile

relaxed = settings(deadline=None, max_examples=100)

TWEE = r"""
:: StoryTitle
The Lighthouse

:: StoryData
{"ifid": "D674C58C-DEFA-4F70-B7A2-27742230C0FC", "format": "SugarCube", "start": "Shore"}

:: StoryInit
<<set $name to "Ada">><<set $gold = 5>>

:: Style [stylesheet]
body { color: red; }

:: Tower {"position":"200,100"}
The tower is dark.

[[Light the lamp|Lamp]]
[[Go down|Shore]]
[[Fly|Moon]]

:: Shore [outside windy] {"position":"100,100"}
<<set $seen to true>>You stand on the shore, $name. //Waves// ''crash''.
<<if visited("Tower")>>The tower is behind you.<<else>>A tower rises.<</if>>

* [[Climb the tower->Tower][$x to 1]]
* <<link "Walk away" "Away [north]">><<set $gone to true>><</link>>

:: Lamp
“Light!” The ship is saved — all $gold of them, and $mood.

:: Away \[north\]
You leave the coast.

:: Attic
Nobody comes here.
""".lstrip()


def published(*passages: tuple[str, str], start: int = 1) -> str:
    body = "\n".join(
        f'<tw-passagedata pid="{number}" name="{html.escape(name)}" tags="" position="1,2" '
        f'size="100,100">{html.escape(text)}</tw-passagedata>'
        for number, (name, text) in enumerate(passages, 1)
    )
    return (
        "<!DOCTYPE html><html><head><title>T</title><script>var a = "
        "\"<tw-passagedata name='fake'>no</tw-passagedata>\";</script></head><body>"
        f'<tw-storydata name="T" startnode="{start}" format="Harlowe" hidden>'
        f'<style role="stylesheet">b{{}}</style>{body}</tw-storydata></body></html>'
    )


def source(text: str, folder: Path, name: str = "story.twee") -> SourceFile:
    (folder / name).write_text(text, encoding="utf-8")
    return SourceFile(folder / name, name)


def read(text: str, folder: Path) -> tuple[list[Document], Findings]:
    findings = Findings()
    return list(READER.read(source(text, folder), findings)), findings


def test_twee_is_told_from_its_start_passage(tmp_path: Path):
    documents, findings = read(TWEE, tmp_path)
    shore = "You stand on the shore, Ada. Waves crash.\nThe tower is behind you."
    assert [document.text for document in documents] == [
        f"{shore}\n> You climb the tower.\nThe tower is dark.\n> You light the lamp.\n"
        "“Light!” The ship is saved — all 5 of them, and mood.",
        f"The tower is dark.\n> You go down.\n{shore}\n> You walk away.\nYou leave the coast.",
    ]
    assert [document.source for document in documents] == ["story.twee:20", "story.twee:13"]
    assert all(document.ends for document in documents)
    assert findings.notes == [
        "story.twee: 1 variables without a plain value are told by their name"
    ]
    assert not findings.faults


def test_what_is_not_story_is_dropped_with_its_reason(tmp_path: Path):
    _, findings = read(TWEE, tmp_path)
    assert findings.dropped_places == {
        "Twine passage that is not told": 4,
        "choice whose passage is not in the file": 1,
        "passage that nothing leads to": 1,
    }


def test_published_html_is_told_from_its_start_node(tmp_path: Path):
    text = published(
        ("Deep", 'It is dark.\n(link-goto: "Turn back", "Mouth")\n[[Jump<-no]] [[Jump->Pit & co]]'),
        ("Mouth", "The mouth of the cave.\n[[Enter->Deep]]"),
        ("Pit & co", "You fall."),
        start=2,
    )
    documents, _ = read(text, tmp_path)
    assert [document.text.strip() for document in documents] == [
        "The mouth of the cave.\n> You enter.\nIt is dark.\n> You jump.\nYou fall.",
        "It is dark.\n> You turn back.\nThe mouth of the cave.",
    ]
    assert [document.ends for document in documents] == [True, False]


def test_twine_1_is_read_too(tmp_path: Path):
    text = (
        '<html><body><div id="storeArea" data-size="2" hidden>'
        r'<div tiddler="Start" tags="">A \"road\".\n[[Walk|End]]</div>'
        '<div tiddler="End" tags="">&lt;i&gt;Home&lt;/i&gt;.</div></div></body></html>'
    )
    documents, _ = read(text, tmp_path)
    assert documents[0].text == 'A \\"road\\".\n> You walk.\nHome.'
    assert READER.sniff(source(text, tmp_path)) == "is a story that Twine 1 published"


def test_a_second_passage_of_a_name_is_a_fault_with_its_line(tmp_path: Path):
    _, findings = read(":: Start\nOne.\n:: Start\nTwo.\n", tmp_path)
    assert [fault.line for fault in findings.faults] == [3]


@pytest.mark.parametrize(
    ("markup", "shown"),
    [
        ("(if: $a is 1)[Lit.](else-if: $b)[Dim.](else:)[Dark.] End", "Lit. End"),
        ("(if:(a) and (b))+(text-style: 'bold')[Both (of) them [sic].]", "Both (of) them [sic]."),
        ('(set: $x to "a (b")Text', "Text"),
        ("She went (slowly: very) on", "She went (slowly: very) on"),
        ("(if: never closed", "(if: never closed"),
        ("|cloak>[A cloak] and [a hat]<hat|.", "A cloak and a hat."),
        ('(link-reveal: "Look")[ closer.]', "Look closer."),
        ("<<if $a > 1>>A<<elseif $b>>B<<else>>C<</if>>D", "AD"),
        ("<<switch $a>>\n<<case 1>>One<<case 2>>Two<<default>>No<</switch>>", "One"),
        ("<<silently>>x <<set $a to 1>> y<</silently>>Text", "Text"),
        ("<<print $knight.name>> rides", "name rides"),
        ("a << b and >> c", "a << b and >> c"),
        ("[img[cat.png]]A cat", "A cat"),
        ("cat: 'Tom'\nlives (9 > 1): 9\n--\nMeow, {cat}.", "Meow, Tom."),
        ("One\n[if lives > 1]\nTwo\n[else]\nThree\n[continue]\nFour", "One\nTwo\nFour"),
        ("[JavaScript]\nalert(1)\n[continued]\nText", "Text"),
        ("<% if (s.x) { %>Yes<% } %> <%= s.name %>", "Yes name"),
        ("<script>if (a < b) x();</script>A<!-- b -->C/% d %/", "AC"),
        ("One<br>Two &mdash; <b class='x'>three</b>", "One\nTwo — three"),
        ("''B'' //it// **b** *i* __u__ 2 * 3 * 4 http://x//y", "B it b i u 2 * 3 * 4 http://x//y"),
        ("It costs $5, US$6.", "It costs $5, US$6."),
        ("A @@.red;styled@@ and @@#a.b; color: red;other@@ word", "A styled and other word"),
        ("@@.red;\nA block\nof two\n@@\nText", "A block\nof two\nText"),
        ("Write to me @@ home; or not @@", "Write to me @@ home; or not @@"),
    ],
)
def test_markup_is_cleaned(markup: str, shown: str):
    values: dict[str, str] = {}
    first_values(markup, values)
    assert clean(markup, values).text == shown


@pytest.mark.parametrize(
    ("markup", "text", "choices"),
    [
        ("You see a [[red door->Door]] here.", "You see a red door here.", [("red door", "Door")]),
        ("You can [[run|R]].", "You can run.", [("You run.", "R")]),
        ("Wait? [[Wait]] | [[Go on|Go]]", "Wait?", [("You wait.", "Wait"), ("You go on.", "Go")]),
        ("[[target<-open it]]", "", [("You open it.", "target")]),
        ("[[> You wait|Next]]", "", [("You wait.", "Next")]),
        ("[[a->b->c]]", "", [("a->b", "c")]),
        ("(if: $x)[A](else:)[B [[hide->H]]]", "A", [("You hide.", "H")]),
        ('(link: "Jump")[(go-to: "Pit")]', "", [("You jump.", "Pit")]),
        ('Dark. <<goto "Next">>', "Dark.", [("", "Next")]),
        ('<<link "Run">><<set $a to 1>><<goto "Far">><</link>>', "", [("You run.", "Far")]),
        ("<<button [[Sit|Chair]]>><</button>>", "", [("You sit.", "Chair")]),
        ('<a data-passage="Hall">Enter</a>', "", [("You enter.", "Hall")]),
        ("[['//Look//'->Eye]]", "", [("'Look'", "Eye")]),
    ],
)
def test_links_become_choices(markup: str, text: str, choices: list[tuple[str, str]]):
    cleaned = clean(markup, {})
    assert cleaned.text == text
    assert list(cleaned.choices) == [Choice(*choice) for choice in choices]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Some prose.\n\n:: not a header of a story\n", "a.txt"),
        ("main :: IO ()\n:: Int\n", "a.hs"),
        ("<html><body><p>About Twine and tw-storydata.</p></body></html>", "a.html"),
        ("The file has a <tw-storydata> element.", "a.md"),
        ("", "a.twee"),
    ],
)
def test_other_text_is_not_claimed(text: str, name: str, tmp_path: Path):
    assert READER.sniff(source(text, tmp_path, name)) is None


def test_stories_are_claimed_with_the_reason(tmp_path: Path):
    assert "StoryData" in (READER.sniff(source(TWEE, tmp_path)) or "")
    assert "named as Twee" in (READER.sniff(source(":: Start\nHi\n", tmp_path)) or "")
    assert "published" in (READER.sniff(source(published(("a", "b")), tmp_path)) or "")


@pytest.mark.parametrize("text", ["<tw-storydata>", ":: StoryTitle\nx", "<![x", "<p>hello</p>"])
def test_a_file_without_passages_is_unreadable(text: str, tmp_path: Path):
    with pytest.raises(Unreadable):
        read(text, tmp_path)


def test_hostile_marks_cost_no_more_than_their_length():
    for mark in (
        "(if:",
        "<<if ",
        "[[",
        "<!--",
        "<script>",
        "<%",
        "//",
        "__",
        "[",
        '<<"',
        " \t",
        "*a",
        "@@.a;",
    ):
        clean(mark * 20_000, {})


_PIECES = [
    "[",
    "]",
    "[[",
    "]]",
    "->",
    "|",
    "<<if $x>>",
    "<<else>>",
    "<</if>>",
    "(if: $x)",
    "(else:)",
]
_PIECES += [
    "(",
    ")",
    '"',
    "a",
    " b. ",
    "\n",
    "//",
    "<b>",
    "<%",
    "%>",
    "--\n",
    "$y",
    "\0",
    "|h>",
    "<h|",
]


@given(st.lists(st.sampled_from(_PIECES), max_size=30).map("".join))
@relaxed
def test_any_markup_is_cleaned_and_leaves_no_marker_of_ours(markup: str):
    cleaned = clean(markup, {"y": "why"})
    assert "\0" not in cleaned.text + "".join(choice.action for choice in cleaned.choices)


@given(st.text(alphabet=':[]{}<>-|\\\n ab"=/', max_size=200))
@relaxed
def test_any_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str):
    for head in (":: Start\n", '<tw-passagedata name="a">'):
        read(head + text, tmp_path_factory.getbasetemp())
