"""Discord channels, as DiscordChatExporter's JSON writer lays them out."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lmft.corpus.decode import Unreadable
from lmft.corpus.documents import Message
from lmft.corpus.findings import Findings
from lmft.corpus.readers.logs.discord import READER
from lmft.corpus.source import SourceFile

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


def message(name, content, at="2024-05-01T18:30:00.123+02:00", kind="Default", **author):
    return {
        "id": "1100",
        "type": kind,
        "timestamp": at,
        "timestampEdited": None,
        "callEndedTimestamp": None,
        "isPinned": False,
        "content": content,
        "author": {
            "id": "7",
            "name": name,
            "discriminator": "0000",
            "nickname": name,
            "color": None,
            "isBot": False,
            "roles": [],
        }
        | author,
        "attachments": [],
        "embeds": [],
        "stickers": [],
        "reactions": [],
        "mentions": [],
    }


def export(*messages):
    return {
        "guild": {"id": "1", "name": "The Inn", "iconUrl": ""},
        "channel": {"id": "2", "type": "GuildTextChat", "name": "taproom", "topic": None},
        "dateRange": {"after": None, "before": None},
        "messages": list(messages),
        "messageCount": len(messages),
    }


def read(tmp_path, content):
    path = tmp_path / "log.json"
    text = content if isinstance(content, str) else json.dumps(content, indent=2)
    path.write_text(text, encoding="utf-8")
    source, findings = SourceFile(path, "log.json"), Findings()
    return list(READER.read(source, findings)), findings


def sniff(tmp_path, text):
    path = tmp_path / "x"
    path.write_text(text, encoding="utf-8")
    return READER.sniff(SourceFile(path, "x"))


def said(document):
    return [(turn.name, turn.content) for turn in document.messages]


def test_a_channel_is_a_chat_without_roles(tmp_path):
    documents, findings = read(
        tmp_path,
        export(message("ann", "Any rooms?"), message("bob", "Two :bed: @ann “upstairs”.")),
    )
    assert [(d.source, d.kind, d.uncast) for d in documents] == [("log.json:1", "chat", True)]
    assert documents[0].messages == (
        Message("user", "Any rooms?", "ann"),
        Message("user", "Two :bed: @ann “upstairs”.", "bob"),
    )
    assert not findings.faults


def test_turns_of_one_speaker_are_joined_and_the_nickname_is_the_name(tmp_path):
    documents, _ = read(
        tmp_path,
        export(
            message("ann#1", "Hello", nickname="Ann"),
            message("ann#1", "anyone?", nickname="Ann"),
            message("bob", "Me.", kind="Reply", nickname=None),
            message("bot", "Beep.", kind="20", isBot=True, nickname=""),
        ),
    )
    assert said(documents[0]) == [("Ann", "Hello\nanyone?"), ("bob", "Me."), ("bot", "Beep.")]


def test_system_messages_and_pictures_are_dropped_and_counted(tmp_path):
    documents, findings = read(
        tmp_path,
        export(
            message("ann", "Joined the server.", kind="GuildMemberJoin"),
            message("ann", "Pinned a message.", kind="ChannelPinnedMessage"),
            message("ann", "Hi"),
            message("bob", " "),
            message("bob", "Hi!"),
        ),
    )
    assert said(documents[0]) == [("ann", "Hi"), ("bob", "Hi!")]
    assert documents[0].source == "log.json:3"
    assert findings.dropped_places == {"system message": 2, "message without text": 1}


def at(day, hour, zone="+00:00"):
    return f"2024-05-{day:02}T{hour:02}:00:00{zone}"


def test_a_night_ends_a_conversation_and_a_time_zone_does_not(tmp_path):
    documents, _ = read(
        tmp_path,
        export(
            message("ann", "Late?", at(1, 22)),
            message("bob", "Late.", at(2, 6, "+08:00")),
            message("ann", "Morning", at(2, 7)),
            message("bob", "Morning!", at(2, 13)),
        ),
    )
    assert [document.source for document in documents] == ["log.json:1", "log.json:3"]
    assert said(documents[1]) == [("ann", "Morning"), ("bob", "Morning!")]


def test_a_monologue_is_no_conversation(tmp_path):
    documents, findings = read(
        tmp_path, export(message("ann", "Hello?", at(1, 1)), message("ann", "Nobody.", at(1, 2)))
    )
    assert documents == []
    assert findings.dropped_characters == {"monologue": len("Hello?\nNobody.")}


def test_the_newest_first_is_turned_round(tmp_path):
    documents, findings = read(
        tmp_path, export(message("bob", "Fine.", at(1, 2)), message("ann", "Well?", at(1, 1)))
    )
    assert said(documents[0]) == [("ann", "Well?"), ("bob", "Fine.")]
    assert "newest message came first" in findings.notes[0]


def test_a_bad_message_is_a_fault_and_the_rest_is_read(tmp_path):
    good = [message("ann", "Hi"), message("bob", "Hi!")]
    wrong = [
        message("ann", ["no"]),
        message("ann", "x", "yesterday"),
        "text",
        message("ann", "x", author=1) | {"author": 1},
        message(" ", "x"),
        message({}, "x"),
    ]
    documents, findings = read(tmp_path, export(good[0], *wrong, good[1]))
    assert said(documents[0]) == [("ann", "Hi"), ("bob", "Hi!")]
    assert [fault.message for fault in findings.faults] == [
        "message 2: `content` is not a string",
        "message 3: `timestamp` is not an ISO 8601 time, such as 2024-05-01T18:30:00+02:00",
        "message 4: is not an object",
        "message 5: `author` is not an object",
        "message 6: the author has no name",
        "message 7: the author's `name` or `nickname` is not a string",
    ]


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"messages": {}}',
        '{"a": NaN}',
        "[" * 100_000,
        '{"messages": [], "messages": []}',
    ],
)
def test_a_useless_file_is_unreadable(tmp_path, content):
    with pytest.raises(Unreadable):
        read(tmp_path, content)


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_any_value_anywhere_is_at_most_unreadable(tmp_path, data):
    content = export(message("ann", "Hi"), message("bob", "Hi!"))
    one = content["messages"][0]
    holder = data.draw(st.sampled_from([content, one, one["author"]]))
    holder[data.draw(st.sampled_from(sorted(holder)))] = data.draw(ANYTHING)
    before = copy.deepcopy(content)
    try:
        documents, _ = read(tmp_path, content)
    except Unreadable:
        return
    assert all(turn.name and turn.content for d in documents for turn in d.messages)
    assert read(tmp_path, before)[0] == documents


def test_it_is_known_by_its_keys(tmp_path):
    assert sniff(tmp_path, json.dumps(export(message("a", "b")), indent=2))
    assert sniff(tmp_path, json.dumps(export()))
    for other in (
        "",
        "Ann said “guild”: messages.",
        '{"messages": [{"role": "user", "content": "hi"}]}',
        json.dumps([export()]),
    ):
        assert sniff(tmp_path, other) is None
