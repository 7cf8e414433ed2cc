"""Training rows in JSON: every shape, every fault with its line, and what is left to others."""

from __future__ import annotations

import gzip
import json
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmft.corpus.decode import MAX_LINE_CHARACTERS, Unreadable
from lmft.corpus.documents import Document, Message, ToolCall
from lmft.corpus.findings import MAX_FAULTS_OF_A_FILE, Findings
from lmft.corpus.readers.rows.jsonl import READER
from lmft.corpus.source import SourceFile

relaxed = settings(deadline=None, max_examples=50)

HELLO = {"role": "user", "content": "Hello?"}
EVENING = {"role": "assistant", "content": "Evening, love."}
CHAT = {"messages": [HELLO, EVENING]}
ALPACA = {"instruction": "Greet me.", "output": "Evening."}
TEXT = {"text": "It was dark."}


class Outcome(NamedTuple):
    documents: list[Document]
    findings: Findings

    @property
    def faults(self) -> list[str]:
        return [str(fault) for fault in self.findings.faults]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def a_file(folder: Path, content: str | bytes, name: str = "rows.jsonl") -> SourceFile:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return SourceFile(path, name)


def lines(*rows: Any) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def outcome(source: SourceFile) -> Outcome:
    findings = Findings()
    return Outcome(list(READER.read(source, findings)), findings)


def read(folder: Path, *rows: Any) -> Outcome:
    return outcome(a_file(folder, lines(*rows)))


def document(folder: Path, row: Any) -> Document:
    found = read(folder, row)
    assert found.faults == []
    return found.documents[0]


def fault(folder: Path, row: Any) -> str:
    """What is said of a row that is all wrong."""
    found = read(folder, row)
    assert found.documents == []
    (only,) = found.faults
    place, _, message = only.partition(": ")
    assert place == "rows.jsonl:1"
    return message


# OpenAI chat


def test_a_conversation_keeps_its_roles(folder):
    row = {"messages": [{"role": "system", "content": "You are Hesper."}, HELLO, EVENING]}
    assert document(folder, row) == Document(
        "rows.jsonl:1",
        "chat",
        messages=(
            Message("system", "You are Hesper."),
            Message("user", "Hello?"),
            Message("assistant", "Evening, love."),
        ),
    )


def test_developer_is_system_and_system_may_come_late(folder):
    late = {"role": "developer", "content": "Be brief."}
    found = document(folder, {"messages": [EVENING, late, EVENING]})
    assert [message.role for message in found.messages] == ["assistant", "system", "assistant"]


def test_turns_of_one_speaker_are_joined_but_not_those_of_two(folder):
    named = {**HELLO, "name": "Bo"}
    found = document(folder, {"messages": [HELLO, HELLO, named, EVENING]})
    assert found.messages == (
        Message("user", "Hello?\nHello?"),
        Message("user", "Hello?", "Bo"),
        Message("assistant", "Evening, love."),
    )


def test_an_assistants_weight_decides_what_is_learnt(folder):
    turns = [HELLO, {**EVENING, "weight": 0}, HELLO, {**EVENING, "weight": 1}]
    found = document(folder, {"messages": turns})
    assert [message.trained for message in found.messages] == [True, False, True, True]
    together = document(folder, {"messages": [HELLO, turns[1], EVENING]})
    assert len(together.messages) == 3


def test_parts_of_text_are_one_text(folder):
    parts = [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo?"}]
    row = {"messages": [{"role": "user", "content": parts}, EVENING]}
    assert document(folder, row).messages[0].content == "Hello?"


def test_tools_and_their_calls_are_kept(folder):
    function = {"name": "look", "arguments": '{"at": "sky"}'}
    row = {
        "messages": [
            HELLO,
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "1", "type": "function", "function": function}],
            },
            {"role": "tool", "tool_call_id": "1", "content": "blue"},
            {"role": "tool", "tool_call_id": "2", "content": "é"},
            EVENING,
        ],
        "tools": [{"type": "function", "function": {"name": "look é"}}],
        "parallel_tool_calls": False,
    }
    found = read(folder, row)
    assert found.documents[0].messages == (
        Message("user", "Hello?"),
        Message("assistant", "", tool_calls=(ToolCall("look", '{"at": "sky"}'),)),
        Message("tool", "blue"),
        Message("tool", "é"),
        Message("assistant", "Evening, love."),
    )
    assert found.documents[0].tools == '[{"type":"function","function":{"name":"look é"}}]'
    assert found.findings.notes == ["rows.jsonl: keys ignored: parallel_tool_calls"]


def test_an_old_function_call_is_a_tool_call(folder):
    call = {"role": "assistant", "function_call": {"name": "look", "arguments": "{}"}}
    answer = {"role": "function", "name": "look", "content": "sky"}
    found = document(folder, {"messages": [HELLO, call, answer, EVENING]})
    assert found.messages[1].tool_calls == (ToolCall("look", "{}"),)
    assert found.messages[2] == Message("tool", "sky", "look")


ASSISTANT: dict[str, Any] = {"role": "assistant"}
PICTURE = {"type": "image_url", "image_url": {"url": "http://x/y.png"}}


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ("Hello", "`messages` is a string; give a list"),
        (None, "`messages` is null; give a list"),
        ({}, "`messages` is an object; give a list"),
        ([], "`messages` is empty"),
        ([HELLO, "Hi"], "messages[1]: is a string; give an object"),
        ([HELLO, {"content": "x"}], "messages[1]: has no `role`"),
        ([{**HELLO, "role": 3}], "messages[0]: `role` is a number"),
        ([{**HELLO, "role": ["user"]}], "messages[0]: `role` is a list"),
        ([{**HELLO, "role": "narator"}], "messages[0]: unknown role `narator`; known: system,"),
        ([{**HELLO, "role": "human"}], "messages[0]: unknown role `human`"),
        ([HELLO, {**EVENING, "content": 7}], "messages[1]: `content` is a number; give a string"),
        ([HELLO, {**EVENING, "content": True}], "messages[1]: `content` is true or false"),
        ([HELLO, {**EVENING, "content": {}}], "messages[1]: `content` is an object"),
        ([{**HELLO, "content": None}, EVENING], "messages[0]: `content` is null"),
        ([HELLO, ASSISTANT], "messages[1]: has no `content`"),
        ([HELLO, {**EVENING, "content": " \n"}], "messages[1]: `content` is empty"),
        ([HELLO, {**EVENING, "content": []}], "messages[1]: `content` is empty"),
        (
            [{**HELLO, "content": [PICTURE]}, EVENING],
            "messages[0]: part 0 of `content` is of type `image_url`; lmft is text only",
        ),
        ([{**HELLO, "content": ["Hi"]}, EVENING], "messages[0]: part 0 of `content` is no object"),
        (
            [{**HELLO, "content": [{"type": "text", "text": 1}]}, EVENING],
            "messages[0]: `text` of part 0 of `content` is a number",
        ),
        ([{**HELLO, "name": 1}, EVENING], "messages[0]: `name` is a number"),
        ([HELLO], "no assistant message"),
        ([HELLO, {**EVENING, "weight": 0}], "every assistant message has weight 0"),
        ([HELLO, {**EVENING, "weight": 0.5}], "messages[1]: `weight` is neither 0 nor 1"),
        ([HELLO, {**EVENING, "weight": 2}], "messages[1]: `weight` is neither 0 nor 1"),
        ([HELLO, {**EVENING, "weight": True}], "messages[1]: `weight` is neither 0 nor 1"),
        ([{**HELLO, "weight": 0}, EVENING], "messages[0]: `weight` is only for an assistant"),
        ([{**HELLO, "tool_calls": [{"function": {"name": "f", "arguments": ""}}]}], "calls a tool"),
        ([{**EVENING, "tool_calls": "look"}], "messages[0]: `tool_calls` is a string"),
        ([{**EVENING, "tool_calls": ["look"]}], "messages[0]: a tool call has no function"),
        ([{**EVENING, "tool_calls": [{"function": {"name": ""}}]}], "an empty name"),
        ([{**EVENING, "function_call": {"name": "f"}}], "`arguments` of a tool call is null"),
    ],
)
def test_a_wrong_conversation_is_told_by_its_message(folder, messages, message):
    assert message in fault(folder, {"messages": messages})


@pytest.mark.parametrize("tools", [{}, ["look"], "look", 3])
def test_wrong_tools_are_a_fault(folder, tools):
    assert fault(folder, {**CHAT, "tools": tools}).startswith("`tools`")


# The other shapes


def test_prompt_and_completion_are_two_turns_kept_as_they_are(folder):
    found = document(folder, {"prompt": "2+2=", "completion": " 4\n"})
    assert found.kind == "instruct"
    assert found.messages == (Message("user", "2+2="), Message("assistant", " 4\n"))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"prompt": "", "completion": "x"}, "`prompt` is empty"),
        ({"prompt": "x", "completion": " "}, "`completion` is empty"),
        ({"prompt": "x", "completion": None}, "`completion` is null"),
        ({"prompt": [HELLO], "completion": "x"}, "`prompt` is a list; give a string"),
        ({"text": ""}, "`text` is empty"),
        ({"text": 3}, "`text` is a number; give a string"),
        ({"instruction": "", "output": "x"}, "`instruction` is empty"),
        ({"instruction": "x", "output": ""}, "`output` is empty"),
        ({**ALPACA, "input": 3}, "`input` is a number"),
        ({**ALPACA, "history": "x"}, "`history` is a string; give a list of [request, reply]"),
        ({**ALPACA, "history": [["x"]]}, "history[0] is not a pair"),
        ({**ALPACA, "history": [["x", "y"], ["x", 1]]}, "history[1]: `reply` is a number"),
        ({"conversations": [{"from": "gpt", "value": ""}]}, "conversations[0]: `value` is empty"),
        ({"conversations": [{"from": "me", "value": "x"}]}, "unknown role `me`"),
        ({"conversations": [{"from": "human", "value": "x"}]}, "no assistant message"),
        ({"conversations": "x"}, "`conversations` is a string"),
        ({"conversation": []}, "`conversation` is empty"),
        ({"conversations": [{"from": "function_call", "value": "f("}]}, "malformed JSON"),
        ({"conversations": [{"from": "function_call", "value": "[]"}]}, "is no object with name"),
        ({}, "has no keys"),
        ({"prompt": "x", "answer": "y"}, "has keys answer, prompt, which is no known shape"),
        ([HELLO], "is a list; give an object, one of: OpenAI preference (input,"),
        ("text", "is a string; give an object"),
        (None, "is null; give an object"),
        (3, "is a number; give an object"),
    ],
)
def test_a_wrong_row_is_told(folder, row, message):
    assert message in fault(folder, row)


def test_sharegpt_says_who_by_other_words(folder):
    turns = [
        {"from": "system", "value": "You are Hesper."},
        {"from": "human", "value": "Hello?"},
        {"from": "function_call", "value": '{"name": "look", "arguments": {"at": "sky"}}'},
        {"from": "observation", "value": "blue"},
        {"from": "gpt", "value": "Blue, love."},
    ]
    found = document(folder, {"conversations": turns, "tools": '[{"name": "look"}]'})
    assert found.kind == "chat"
    assert found.messages == (
        Message("system", "You are Hesper."),
        Message("user", "Hello?"),
        Message("assistant", "", tool_calls=(ToolCall("look", '{"at":"sky"}'),)),
        Message("tool", "blue"),
        Message("assistant", "Blue, love."),
    )
    assert found.tools == '[{"name":"look"}]'


def test_sharegpt_with_openais_words_and_a_system_of_its_own(folder):
    found = document(folder, {"conversation": CHAT["messages"], "system": "Be brief."})
    assert [message.role for message in found.messages] == ["system", "user", "assistant"]


def test_alpaca_puts_the_input_under_the_instruction(folder):
    row = {"instruction": "Translate.", "input": "Guten Abend", "output": "Good evening"}
    found = document(folder, row)
    assert found.kind == "instruct"
    assert found.messages[0] == Message("user", "Translate.\n\nGuten Abend")
    for empty in ({"input": ""}, {"input": None}, {}):
        assert document(folder, {**ALPACA, **empty}).messages[0].content == "Greet me."


def test_alpacas_system_and_history_come_first(folder):
    row = {**ALPACA, "system": "You are Hesper.", "history": [["Hello?", "Hello."]]}
    assert document(folder, row).messages == (
        Message("system", "You are Hesper."),
        Message("user", "Hello?"),
        Message("assistant", "Hello."),
        Message("user", "Greet me."),
        Message("assistant", "Evening."),
    )


def test_a_text_of_one_line_is_taken_as_it_is(folder):
    text = "  CHAPTER I.\u00a0 “Élan” \n"
    assert document(folder, {"text": text}) == Document("rows.jsonl:1", "story", text=text)


def test_a_text_is_cleaned_up_as_a_file_of_prose_is(folder):
    prose = (
        "Produced by Ann Lee\r\n\r\n\r\nIt was a dark and stormy night, and the rain fell in "
        "torrents,\r\nexcept at occasional intervals, when it was checked by a violent\r\ngust "
        "of wind which swept up the streets of the town, rattling\r\nalong the housetops.  \r\n"
        "*** END OF THE PROJECT GUTENBERG EBOOK X ***\r\nAll of the licence.\r\n"
    )
    found = read(folder, TEXT, {"text": prose})
    (_, story) = found.documents
    assert (story.source, story.kind, story.begins, story.ends) == (
        "rows.jsonl:2",
        "story",
        True,
        True,
    )
    assert story.text == (
        "It was a dark and stormy night, and the rain fell in torrents, except at occasional "
        "intervals, when it was checked by a violent gust of wind which swept up the streets of "
        "the town, rattling along the housetops."
    )
    assert [(d.file, d.first_line, d.last_line) for d in found.findings.drops] == [
        ("rows.jsonl", 2, 2)
    ] * len(found.findings.drops)
    assert "licence" in found.findings.dropped_places


def test_a_text_with_a_players_lines_is_an_adventure(folder):
    text = "A door.\n> You open it.\nDark.\n> You go in.\nDarker."
    found = document(folder, {"text": text})
    assert (found.kind, found.text) == ("adventure", text)


def test_a_long_text_is_one_story_in_parts(folder):
    text = "\n\n".join(f"CHAPTER {n}\n\n" + "It rained. " * 500 for n in range(1, 4))
    parts = read(folder, {"text": text}).documents
    assert [part.source for part in parts] == ["rows.jsonl:1"] * len(parts)
    assert [part.begins for part in parts] == [True] + [False] * (len(parts) - 1)
    assert [part.ends for part in parts] == [False] * (len(parts) - 1) + [True]
    assert [part.scene for part in parts] == sorted(part.scene for part in parts)
    assert "".join(part.text for part in parts).split() == text.split()


def test_a_text_of_which_nothing_is_left_is_a_fault(folder):
    assert fault(folder, {"text": "\x01\n\x02"}).startswith("its text holds only white space")


PREFERRED = {
    "input": {"messages": [HELLO], "tools": [{"type": "function"}]},
    "preferred_output": [EVENING],
    "non_preferred_output": [{**EVENING, "content": "What?"}],
}


def test_an_openai_preference_has_prompt_and_both_answers(folder):
    assert document(folder, PREFERRED) == Document(
        "rows.jsonl:1",
        "preference",
        messages=(Message("user", "Hello?"),),
        chosen=(Message("assistant", "Evening, love."),),
        rejected=(Message("assistant", "What?"),),
        tools='[{"type":"function"}]',
    )


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "Hello?", "chosen": "Evening, love.", "rejected": "What?"},
        {
            "prompt": [HELLO],
            "chosen": [EVENING],
            "rejected": [{**EVENING, "content": "What?"}],
        },
        {
            "prompt": "Hello?",
            "chosen": [HELLO, EVENING],
            "rejected": [HELLO, {**EVENING, "content": "What?"}],
            "messages": [HELLO, EVENING],
        },
    ],
)
def test_a_preference_of_strings_or_messages_even_with_the_prompt_repeated(folder, row):
    found = document(folder, row)
    assert found.kind == "preference"
    assert found.messages == (Message("user", "Hello?"),)
    assert found.chosen == (Message("assistant", "Evening, love."),)
    assert found.rejected == (Message("assistant", "What?"),)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"input": [HELLO]}, "`input` is a list; give an object with `messages`"),
        ({"input": {}}, "`input.messages` is null"),
        ({"input": {"messages": [{}]}}, "input.messages[0]: has no `role`"),
        ({"preferred_output": "x"}, "are the same"),
        ({"preferred_output": 3}, "`preferred_output` is a number"),
        ({"preferred_output": []}, "`preferred_output` is empty"),
        ({"preferred_output": [HELLO]}, "`preferred_output` does not go on from the prompt"),
    ],
)
def test_a_wrong_preference_is_told(folder, change, message):
    row = {**PREFERRED, "non_preferred_output": "x", **change}
    assert message in fault(folder, row)


# Files


def test_blank_lines_are_skipped_and_lines_counted_from_1(folder):
    found = outcome(a_file(folder, "\n" + lines(TEXT) + " \n\r\n" + lines(TEXT)))
    assert [document.source for document in found.documents] == ["rows.jsonl:2", "rows.jsonl:5"]
    assert found.faults == []


def test_every_bad_line_is_listed_and_the_good_ones_are_kept(folder):
    bad = [
        '{"text": "a",}',
        '{"text": NaN}',
        '{"text": "a", "text": "b"}',
        '{"text": ' + "[" * 100_000,
        r'{"text": "\ud800"}',
        r'{"text": "\u0000"}',
        '{"text": ' + "9" * 5_000 + "}",
        '"text"',
        '{"txt": "a"}',
    ]
    good = lines(TEXT)
    found = outcome(a_file(folder, good + "".join(f"{line}\n{good}" for line in bad)))
    assert len(found.documents) == len(bad) + 1
    assert [fault.line for fault in found.findings.faults] == list(range(2, 2 * len(bad) + 1, 2))
    assert [message.split(": ", 1)[1][:24] for message in found.faults] == [
        "malformed JSON at column",
        "NaN is not JSON; give nu",
        "the key `text` occurs tw",
        "nested more than 64 leve",
        "half a surrogate pair at",
        "a NUL character at colum",
        "an integer of thousands ",
        "is a string; give an obj",
        "has keys txt, which is n",
    ]


def test_faults_are_counted_beyond_those_kept(folder):
    found = outcome(a_file(folder, "{\n" * 1_000))
    assert found.findings.n_faults == 1_000
    assert len(found.faults) == MAX_FAULTS_OF_A_FILE


def test_another_shape_than_the_first_is_a_fault_that_names_both(folder):
    found = read(folder, {"x": 1}, ALPACA, CHAT, ALPACA)
    assert [document.source for document in found.documents] == ["rows.jsonl:2", "rows.jsonl:4"]
    assert found.faults[1] == (
        "rows.jsonl:3: is OpenAI chat (messages), but the file began with Alpaca (instruction, "
        "output); put it in a file of its own"
    )


def test_ignored_keys_are_noted_once_sorted_and_capped(folder):
    extra = [{**TEXT, "z": 1, "a": 2}, {**TEXT, "b": 1}]
    assert read(folder, *extra).findings.notes == ["rows.jsonl: keys ignored: a, b, z"]
    hostile = read(folder, {**TEXT, **{f"\x1b{key:02}" + "k" * 99: 1 for key in range(50)}})
    (note,) = hostile.findings.notes
    assert note.endswith(", ...")
    assert "\x1b" not in note
    assert len(note) < 400


def test_no_words_of_a_row_get_into_a_fault(folder):
    secret = "sk-0123456789"
    rows = [
        json.dumps({"messages": [{"role": "user", "content": secret}]}),
        json.dumps({"text": [secret]}),
        json.dumps({"prompt": secret, "completion": 1}),
        f'{{"text": "{secret}',
    ]
    for row in rows:
        assert secret not in " ".join(outcome(a_file(folder, row)).faults)


def test_an_array_of_rows_names_row_and_line(folder):
    rows = [TEXT, {"text": 1}, {"txt": 1}, TEXT]
    spread = outcome(a_file(folder, json.dumps(rows, indent=1), "rows.json"))
    assert [document.source for document in spread.documents] == ["rows.json:2", "rows.json:11"]
    assert [message[:42] for message in spread.faults] == [
        "rows.json:5: row 2: `text` is a number; gi",
        "rows.json:8: row 3: has keys txt, which is",
    ]
    one_line = outcome(a_file(folder, json.dumps(rows), "rows.json"))
    assert [document.text for document in one_line.documents] == ["It was dark."] * 2
    assert "rows.json:1: row 3: has keys txt" in one_line.faults[1]


def test_a_malformed_row_of_an_array_costs_only_itself(folder):
    content = '[\n{"text": "a"},\n{"text":\n NaN,},\n5,\n{"text": "b"},\n]\n'
    found = outcome(a_file(folder, content, "rows.json"))
    assert [document.text for document in found.documents] == ["a", "b"]
    assert [message[:35] for message in found.faults] == [
        "rows.json:3: row 2: NaN is not JSON",
        "rows.json:5: row 3: is a number; gi",
        "rows.json:7: row 5: malformed JSON ",
    ]


def test_a_malformed_row_of_an_array_is_told_with_the_line_inside_it(folder):
    found = outcome(a_file(folder, '[\n{"text":\n "a",,}]', "rows.json"))
    assert found.faults[0].startswith("rows.json:3: row 1: malformed JSON at column 6")


def test_one_object_over_many_lines_is_one_row(folder):
    found = outcome(a_file(folder, "\n" + json.dumps(CHAT, indent=2), "chat.json"))
    (only,) = found.documents
    assert only.source == "chat.json:2"
    assert [message.role for message in only.messages] == ["user", "assistant"]
    assert found.faults == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{\n "messages": [\n  5\n ]\n}\n', "rows.json:1: messages[0]: is a number"),
        ('{\n "text": "a",,\n}\n', "rows.json:2: malformed JSON at column 14"),
        ('{\n "text": "a"\n}\n{\n "text": "b"\n}\n', "rows.json:4: malformed JSON at column 1"),
    ],
)
def test_what_is_wrong_in_one_object_is_told_with_its_line(folder, content, message):
    found = outcome(a_file(folder, content, "rows.json"))
    assert found.documents == []
    assert found.faults[0].startswith(message)


def test_an_array_cut_short_keeps_what_is_whole(folder):
    found = outcome(a_file(folder, '[{"text": "a"},\n{"text": "b', "rows.json"))
    assert [document.text for document in found.documents] == ["a"]
    assert len(found.faults) == 2
    assert "never closed" in found.faults[1]


def test_an_array_may_be_one_line_longer_than_a_line_of_text(folder):
    row = {"text": "word " * 100_000}
    content = json.dumps([row] * (MAX_LINE_CHARACTERS // 500_000 + 2))
    assert len(content) > MAX_LINE_CHARACTERS
    found = outcome(a_file(folder, content, "rows.json"))
    assert len(found.documents) == MAX_LINE_CHARACTERS // 500_000 + 2


def test_an_array_under_a_lines_name_is_read_but_a_line_that_is_a_list_is_a_fault(folder):
    assert len(outcome(a_file(folder, json.dumps([TEXT, TEXT], indent=1))).documents) == 2
    found = outcome(a_file(folder, lines([HELLO, EVENING], CHAT)))
    assert len(found.documents) == 1
    assert found.faults[0].startswith("rows.jsonl:1: is a list")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json"])
def test_a_byte_order_mark_is_obeyed_and_said(folder, encoding, name):
    content = lines(TEXT) if name == "rows.jsonl" else json.dumps([TEXT])
    source = a_file(folder, content.encode(encoding), name)
    found = outcome(source)
    assert found.documents[0].text == "It was dark."
    assert found.findings.notes == [f"{name}: decoded as {encoding} (byte order mark)"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "0 bytes"),
        (b"\xef\xbb\xbf", "no rows"),
        (b" \n\n", "no rows"),
        (lines(TEXT).encode("utf-16-le"), "UTF-16 without a byte order mark"),
        (b'{"text": "a\0b"}\n', "NUL byte"),
        (b'{"text": "' + b"x" * (MAX_LINE_CHARACTERS + (2 << 20)) + b'"}', "break it into lines"),
    ],
)
def test_a_useless_file_is_refused_as_a_whole(folder, content, message):
    with pytest.raises(Unreadable, match=message):
        outcome(a_file(folder, content))


def test_an_array_with_a_byte_that_its_encoding_lacks_is_refused_with_the_place(folder):
    content = b"\xef\xbb\xbf" + json.dumps([TEXT]).encode() + b"\xff"
    with pytest.raises(Unreadable, match="save the file as UTF-8"):
        outcome(a_file(folder, content, "rows.json"))


# What is claimed


@pytest.mark.parametrize(
    ("content", "name", "reason"),
    [
        (lines(CHAT), "a.txt", "JSON rows with `messages`"),
        ("\ufeff\n" + lines(ALPACA), "a.jsonl", "JSON rows with `instruction`"),
        (lines(CHAT).encode("utf-16"), "a.jsonl", "JSON rows with `messages`"),
        (json.dumps([TEXT], indent=2), "a.json", "a JSON array of rows with `text`"),
        (json.dumps({"id": 1, "text": "x" * 100_000}), "a.json", "JSON rows with `text`"),
        (json.dumps([{"text": "x" * 100_000}]), "a.json", "a JSON array of rows with `text`"),
        ('{"messages": [\n', "a.jsonl", "JSON rows with `messages`"),
        (json.dumps(CHAT, indent=2), "a.json", "one JSON row with `messages`"),
        ("\n" + json.dumps(ALPACA, indent=1), "a.json", "one JSON row with `instruction`"),
        (
            json.dumps({"prompt": "x" * 99_999, "completion": "y"}, indent=2),
            "a.json",
            "one JSON row with `prompt`",
        ),
        (lines(CHAT, CHAT), "a.json", "JSON rows with `messages`"),
        ("{oops\n", "a.jsonl", "named .jsonl"),
        ("", "a.ndjson", "named .ndjson"),
    ],
)
def test_rows_are_claimed_with_a_reason(folder, content, name, reason):
    assert READER.sniff(a_file(folder, content, name)) == reason


SILLYTAVERN = {"user_name": "Bo", "character_name": "Hesper", "create_date": "2024-01-01"}


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (json.dumps({"guild": {"id": "1"}, "channel": {}, "messages": []}), "a.json"),
        (json.dumps({"guild": {"id": "1"}, "messages": []}, indent=2), "a.json"),
        (json.dumps({"inkVersion": 21, "root": [["^text", {"text": 1}]]}), "a.json"),
        (lines(SILLYTAVERN, {"name": "Bo", "mes": "Hello?"}), "a.jsonl"),
        (lines({"name": "Bo", "mes": "Hello?", "text": ""}), "a.jsonl"),
        (json.dumps({"tree_id": 1, "context": "", "action_results": [{"text": ""}]}), "a.json"),
        (json.dumps([{"tree_id": 1, "text": "", "action_results": []}]), "a.json"),
        (json.dumps({"text": "pretty"}, indent=2), "a.txt"),
        (json.dumps({"prompt": "x", "memory": "y"}, indent=2), "a.json"),
        (json.dumps({**SILLYTAVERN, "messages": []}, indent=2), "a.json"),
        (json.dumps({"inkVersion": 21, "root": [], "text": ""}, indent=2), "a.json"),
        (json.dumps({"tree_id": 1, "text": "", "action_results": []}, indent=2), "a.json"),
        (json.dumps({"passages": [{"text": "x"}], "name": "y"}, indent=2), "a.json"),
        ('{ "messages": [\n 1]}', "a.txt"),
        (json.dumps({"scripts": {"text": "x"}}), "a.json"),
        (json.dumps([1, 2]), "a.json"),
        ("“Text,” she said: [it is {text}].\n", "a.txt"),
        ('"text": she wrote\n', "a.txt"),
        ("", "a.txt"),
        ("{", "a.txt"),
        (gzip.compress(b"x", mtime=0), "a.jsonl"),
        (b"cos\nsystem\n(S'true'\ntR.", "a.jsonl"),
    ],
)
def test_what_is_anothers_is_left_to_it(folder, content, name):
    assert READER.sniff(a_file(folder, content, name)) is None


# Invariants

words = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30
).filter(str.strip)
conversation = st.lists(
    st.tuples(st.sampled_from(["system", "user", "assistant"]), words), min_size=1, max_size=8
).filter(lambda turns: any(role == "assistant" for role, _ in turns))


@relaxed
@given(conversations=st.lists(conversation, min_size=1, max_size=4), array=st.booleans())
def test_any_conversation_comes_through_in_order_with_every_character(
    tmp_path_factory, conversations, array
):
    rows = [
        {"messages": [{"role": role, "content": content} for role, content in turns]}
        for turns in conversations
    ]
    content = json.dumps(rows) if array else lines(*rows)
    name = "rows.json" if array else "rows.jsonl"
    source = a_file(tmp_path_factory.getbasetemp(), content, name)
    assert READER.sniff(source)
    found = outcome(source)
    assert found.faults == []
    for turns, document in zip(conversations, found.documents, strict=True):
        for role in ("system", "user", "assistant"):
            said = [content for speaker, content in turns if speaker == role]
            kept = [turn.content for turn in document.messages if turn.role == role]
            assert "\n".join(kept) == "\n".join(said)
        roles = [turn.role for turn in document.messages]
        assert all(one != other for one, other in pairwise(roles))


key = st.sampled_from(["messages", "role", "content", "weight", "tool_calls", "function", "name"])
key |= st.sampled_from(["type", "text", "prompt", "chosen", "rejected", "from", "value", "history"])
json_value = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(key, inner, max_size=4),
    max_leaves=20,
)
SHAPED = [CHAT, ALPACA, TEXT, PREFERRED, {"conversations": [HELLO, EVENING]}]
SHAPED += [{"prompt": "a", "chosen": "b", "rejected": "c"}, {"prompt": "a", "completion": "b"}]


@st.composite
def damaged(draw: st.DrawFn) -> Any:
    """A row of a known shape with one value, at any depth, made something else."""
    row = json.loads(json.dumps(draw(st.sampled_from(SHAPED))))
    at: Any = row
    while True:
        key = draw(st.sampled_from(list(at) if isinstance(at, dict) else list(range(len(at)))))
        if not isinstance(at[key], dict | list) or not at[key] or draw(st.booleans()):
            at[key] = draw(json_value)
            return row
        at = at[key]


@relaxed
@given(rows=st.lists(damaged() | json_value, min_size=1, max_size=5), array=st.booleans())
def test_wrong_types_anywhere_are_faults_and_never_anything_else(tmp_path_factory, rows, array):
    if not array:
        # A file that begins with a list is taken for an array.
        rows = [TEXT, *rows]
    content = json.dumps(rows) if array else lines(*rows)
    source = a_file(tmp_path_factory.getbasetemp(), content, "x.json" if array else "x.jsonl")
    READER.sniff(source)
    found = outcome(source)
    assert len(found.documents) + found.findings.n_faults == len(rows)
    assert all("\n" not in message for message in found.faults)


@relaxed
@given(content=st.binary(max_size=60), name=st.sampled_from(["x.jsonl", "x.json", "x.txt"]))
def test_any_bytes_are_documents_faults_or_refused(tmp_path_factory, content, name):
    source = a_file(tmp_path_factory.getbasetemp(), content, name)
    READER.sniff(source)
    try:
        found = outcome(source)
    except Unreadable:
        return
    assert found.documents or found.faults
