"""Documents as lines and on the spool, cut into parts, turned into another kind."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmft.corpus.document_rows import from_row, to_row
from lmft.corpus.documents import KINDS, Document, Message, ToolCall
from lmft.corpus.kinds import as_kind, resolve_kind
from lmft.corpus.parts import cut
from lmft.corpus.spool import Spool, content_hash

relaxed = settings(deadline=None, max_examples=150)

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
messages = st.builds(
    Message,
    role=st.sampled_from(["system", "user", "assistant", "tool"]),
    content=text,
    name=st.none() | text.filter(bool),
    trained=st.booleans(),
    tool_calls=st.lists(st.builds(ToolCall, text, text), max_size=2).map(tuple),
)
turns = st.lists(messages, min_size=1, max_size=6).map(tuple)
stories = st.builds(
    Document,
    source=text,
    kind=st.sampled_from(["story", "adventure"]),
    text=text,
    begins=st.booleans(),
    ends=st.booleans(),
    scene=st.integers(0, 9),
    story=st.integers(0, 9),
)
chats = st.builds(
    Document,
    source=text,
    kind=st.sampled_from(["chat", "instruct"]),
    messages=turns,
    uncast=st.booleans(),
    tools=st.sampled_from(["", '[{"type": "function"}]']),
)
preferences = st.builds(
    Document, source=text, kind=st.just("preference"), messages=turns, chosen=turns, rejected=turns
)
documents = stories | chats | preferences


@relaxed
@given(documents)
def test_a_document_survives_its_line(document):
    line = to_row(document)
    assert "\n" not in line
    assert from_row(line) == document


@relaxed
@given(st.lists(documents, max_size=8))
def test_the_spool_gives_back_what_it_got_in_order(tmp_path_factory, made):
    with Spool(tmp_path_factory.mktemp("spool") / "s.jsonl") as spool:
        for document in made:
            spool.add(document)
        for _ in range(2):
            assert list(spool.documents()) == list(enumerate(made))
        assert list(spool.sizes) == [document.n_bytes for document in made]


def test_a_line_separator_inside_a_text_does_not_end_the_line(tmp_path):
    document = Document("a", text="one\u2028two\u0085three\x0bfour\x1cfive")
    with Spool(tmp_path / "s.jsonl") as spool:
        spool.add(document)
        spool.add(document)
        assert [found for _, found in spool.documents()] == [document] * 2


def test_the_hash_is_of_the_words_and_who_says_them_and_not_of_where_they_stood():
    def chat(*contents, role="user"):
        return Document("c", messages=tuple(Message(role, content) for content in contents))

    assert content_hash(Document("a", text="x")) == content_hash(Document("b", text="x", story=7))
    assert content_hash(chat("ab", "c")) != content_hash(chat("a", "bc"))
    assert content_hash(chat("a")) != content_hash(chat("a", role="assistant"))
    named = dataclasses.replace(chat("a").messages[0], name="Ada")
    assert content_hash(chat("a")) != content_hash(Document("c", messages=(named,)))


def test_rows_have_the_shapes_that_other_trainers_read():
    story = json.loads(to_row(Document("a", text="Once.")))
    chat = json.loads(to_row(Document("a", kind="chat", messages=(Message("user", "Hi."),))))
    assert story["text"] == "Once."
    assert chat["messages"] == [{"role": "user", "content": "Hi."}]


# Parts

words = st.text(alphabet="ab >.\u00e9", min_size=0, max_size=30)
texts = st.lists(words, max_size=60).flatmap(
    lambda lines: st.sampled_from(["\n", "\n\n"]).map(lambda end: end.join(lines))
)


@relaxed
@given(texts, st.integers(20, 200), st.booleans(), st.booleans())
def test_the_parts_of_a_long_story_are_the_story(told, part_bytes, begins, ends):
    whole = Document("a.txt", text=told, begins=begins, ends=ends, story=3, scene=2)
    parts = cut(whole, part_bytes)
    assert "".join(part.text for part in parts) == told
    assert [part.begins for part in parts] == [begins] + [False] * (len(parts) - 1)
    assert [part.ends for part in parts] == [False] * (len(parts) - 1) + [ends]
    assert {(part.story, part.scene) for part in parts} == {(3, 2)}


def test_an_action_is_not_cut_from_its_answer():
    told = "You see a door.\n> You open it.\nIt creaks open slowly.\n" * 50
    parts = cut(Document("a.txt", text=told), 300)
    assert len(parts) > 5
    assert not any(part.text.rstrip("\n").endswith("> You open it.") for part in parts)


def test_a_title_above_lines_without_blank_lines_does_not_keep_them_together():
    told = "A TITLE\n\n" + "".join(f"Line {number} of the story.\n" for number in range(4_000))
    assert max(part.n_bytes for part in cut(Document("a.txt", text=told))) < 9_000


def test_parts_are_about_as_long_as_asked():
    told = "\n\n".join(f"Paragraph {number} of the story." for number in range(400))
    parts = cut(Document("a.txt", text=told), 1_000)
    assert all(250 <= part.n_bytes <= 1_250 for part in parts)


@relaxed
@given(st.lists(messages, min_size=1, max_size=40).map(tuple), st.integers(10, 200))
def test_the_parts_of_a_long_conversation_are_its_turns_in_order(said, part_bytes):
    parts = cut(Document("c", kind="chat", messages=said), part_bytes)
    assert tuple(turn for part in parts for turn in part.messages) == said
    assert all(part.messages for part in parts)


def test_a_conversation_is_cut_before_what_the_person_says():
    said = (Message("user", "How are you? " * 5), Message("assistant", "Well. " * 10)) * 20
    parts = cut(Document("c", kind="chat", messages=said), 300)
    assert len(parts) > 5
    assert all(part.messages[0].role == "user" for part in parts)
    assert all(part.messages[-1].role == "assistant" for part in parts)


# Kinds


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (["story"], "story"),
        (["story", "adventure"], "adventure"),
        (["chat", "instruct"], "chat"),
        (["preference"], "preference"),
    ],
)
def test_kinds_that_go_together_become_one(found, kind):
    assert resolve_kind({name: ["a"] for name in found}) == (kind, "")


def test_kinds_that_do_not_go_together_are_named_with_their_files():
    kind, mixed = resolve_kind({"chat": ["b.jsonl"], "story": ["a.txt", "c", "d", "e"]})
    assert kind is None
    assert mixed == "chat: b.jsonl; story: a.txt, c, d, ..."


@relaxed
@given(documents, st.sampled_from(KINDS))
def test_a_changed_kind_keeps_every_word_or_is_refused(document, kind):
    changed = as_kind(document, kind)
    if changed is None:
        return
    assert changed.kind == kind
    kept = document.messages + (document.chosen if document.kind == "preference" else ())
    for turn in kept:
        assert turn.content.strip() in changed.words


def test_prose_never_becomes_a_conversation():
    assert as_kind(Document("a", text="Once."), "chat") is None


def test_a_conversation_becomes_a_script_with_its_names():
    said = (Message("system", "A wood."), Message("user", "Who?", name="ADA"))
    told = as_kind(Document("a", kind="chat", messages=said, uncast=True), "story")
    assert told is not None
    assert told.text == "A wood.\n\nADA: Who?"
    assert not told.uncast
