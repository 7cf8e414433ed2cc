"""SillyTavern chats of old and new versions."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lmft.corpus.decode import Unreadable
from lmft.corpus.documents import Message
from lmft.corpus.findings import Findings
from lmft.corpus.readers.logs.sillytavern import READER
from lmft.corpus.source import SourceFile

OLD = {"user_name": "Ann", "character_name": "Hesper", "create_date": "2023-5-1 @18h"}
NEW = {"chat_metadata": {"integrity": "x"}, "user_name": "unused", "character_name": "unused"}
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


def row(name, text, *, user=False, system=False, **more):
    return {
        "name": name,
        "is_user": user,
        "is_system": system,
        "send_date": "May 1, 2023 6:30pm",
        "mes": text,
        "extra": {},
    } | more


def source_of(tmp_path, rows):
    path = tmp_path / "chat.jsonl"
    lines = (one if isinstance(one, str) else json.dumps(one) for one in rows)
    path.write_text("\n".join(lines), encoding="utf-8")
    return SourceFile(path, "chat.jsonl")


def read(tmp_path, *rows):
    source, findings = source_of(tmp_path, rows), Findings()
    return list(READER.read(source, findings)), findings


GREETING = row("Hesper", "“Evening,” {{char}} says. *She nods to {{User}}.*", swipe_id=1)
QUESTION = row("Ann", "Any rooms?", user=True)


@pytest.mark.parametrize("about", [OLD, NEW])
def test_a_chat_has_roles_and_names_and_its_macros_are_filled_in(tmp_path, about):
    documents, findings = read(
        tmp_path, about, GREETING | {"swipes": ["no", GREETING["mes"]]}, QUESTION
    )
    (document,) = documents
    assert (document.source, document.kind, document.uncast) == ("chat.jsonl", "chat", False)
    assert document.messages == (
        Message("assistant", "“Evening,” Hesper says. *She nods to Ann.*", "Hesper"),
        Message("user", "Any rooms?", "Ann"),
    )
    assert not findings.faults


def test_the_first_lines_names_go_before_those_of_the_messages(tmp_path):
    documents, _ = read(tmp_path, OLD, row("Hesper (v2)", "I am {{char}}, {{user}}."), QUESTION)
    assert documents[0].messages[0].content == "I am Hesper (v2), Ann."
    documents, _ = read(
        tmp_path, OLD, GREETING, row("Bob", "I am {{user}} to {{char}}.", user=True)
    )
    assert documents[0].messages[1].content == "I am Ann to Hesper."


def test_a_group_keeps_its_names_and_needs_no_first_line(tmp_path):
    rows = [
        QUESTION,
        row("Hesper", "{{char}} nods."),
        row("Ruk", "{{char}} too."),
        row("Ruk", "Hm"),
    ]
    documents, _ = read(tmp_path, *rows)
    assert [(turn.name, turn.content) for turn in documents[0].messages] == [
        ("Ann", "Any rooms?"),
        ("Hesper", "Hesper nods."),
        ("Ruk", "Ruk too.\nHm"),
    ]


def test_hidden_and_empty_messages_are_dropped_and_a_narrator_is_no_speaker(tmp_path):
    documents, findings = read(
        tmp_path,
        NEW,
        GREETING,
        row("Hesper", "forgotten", system=True),
        row("Hesper", " "),
        row("System", "Night falls.", extra={"type": "narrator"}),
        QUESTION,
    )
    assert [turn.role for turn in documents[0].messages] == ["assistant", "system", "user"]
    assert documents[0].messages[1] == Message("system", "Night falls.")
    assert findings.dropped_places == {"hidden message": 1, "message without text": 1}
    assert [drop.first_line for drop in findings.drops] == [3, 4]


def test_bad_lines_are_faults_with_their_line(tmp_path):
    documents, findings = read(
        tmp_path,
        NEW,
        GREETING,
        "{",
        "",
        [],
        row(1, "x"),
        row("Ann", None),
        row("Ann", "x") | {"is_user": "yes"},
        row("Ann", "x", system="no"),
        '{"mes": "\\ud800", "name": "a", "is_user": true}',
        {"user_name": "late"},
        QUESTION,
    )
    assert len(documents[0].messages) == 2
    assert [fault.line for fault in findings.faults] == [3, 5, 6, 7, 8, 9, 10, 11]
    assert "`mes` is not a string" in str(findings.faults[3])


@pytest.mark.parametrize("rows", [[NEW], [NEW, GREETING], [NEW, QUESTION, QUESTION]])
def test_one_side_alone_is_no_conversation(tmp_path, rows):
    documents, findings = read(tmp_path, *rows)
    assert documents == []
    assert bool(findings.drops) is (len(rows) > 1)


@settings(
    deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_any_value_anywhere_is_at_most_a_fault(tmp_path, data):
    rows = [dict(NEW), GREETING | {}, QUESTION | {}]
    holder = data.draw(st.sampled_from(rows))
    holder[data.draw(st.sampled_from(sorted(holder)))] = data.draw(ANYTHING)
    rows[data.draw(st.integers(0, 2))] = data.draw(st.just(holder) | ANYTHING)
    try:
        documents, _ = read(tmp_path, *rows)
    except Unreadable:
        return  # a NUL among the rows: then the file is no text
    assert all(turn.name and turn.content for d in documents for turn in d.messages)


def test_it_is_known_by_its_first_lines(tmp_path):
    large = NEW | {"chat_metadata": {"note": "x" * 100_000}}
    for rows in ([OLD, GREETING], [NEW, GREETING], [GREETING, QUESTION]):
        assert READER.sniff(source_of(tmp_path, rows))
    assert READER.sniff(source_of(tmp_path, [json.dumps(large, separators=(",", ":")), GREETING]))
    for rows in (
        [],
        ["Ann said: is_user."],
        [{"messages": [{"role": "user", "content": "hi"}]}],
        [{"text": "once"}, {"text": "twice"}],
        [OLD],
        [{"user_name": "Ann"}, GREETING],
    ):
        assert READER.sniff(source_of(tmp_path, rows)) is None
