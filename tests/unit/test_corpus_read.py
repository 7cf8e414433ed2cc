"""Files and folders to documents."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmft.corpus.documents import Document, Message
from lmft.corpus.read import cut_long, find_files, read_conversations, read_file
from lmft.errors import CorpusError, InputError

relaxed = settings(deadline=None, max_examples=200)

HI = {"role": "user", "content": "Hi."}
HELLO = {"role": "assistant", "content": "Hello."}


def line(*messages) -> str:
    return json.dumps({"messages": messages})


def stories(tmp_path, text: str) -> list[Document]:
    file = tmp_path / "a.txt"
    file.write_text(text)
    return read_file(file, "a.txt")[0]


def fault(text: str) -> str:
    with pytest.raises(CorpusError) as caught:
        read_conversations(text, "c.jsonl")
    return caught.value.message


# Folders


def test_a_folder_is_read_in_the_order_of_names_and_below(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("b.txt", "a.MD", "sub/c.jsonl", "ignored.pdf", "z.txt"):
        (tmp_path / name).write_text("x")
    found = [file.relative_to(tmp_path).as_posix() for file in find_files(tmp_path)]
    assert found == ["a.MD", "b.txt", "sub/c.jsonl", "z.txt"]


def test_hidden_files_and_folders_are_skipped(tmp_path):
    (tmp_path / ".git").mkdir()
    for name in ("seen.txt", ".hidden.txt", ".git/notes.txt"):
        (tmp_path / name).write_text("x")
    assert [file.name for file in find_files(tmp_path)] == ["seen.txt"]


def test_a_hidden_folder_may_itself_be_given(tmp_path):
    folder = tmp_path / ".stories"
    folder.mkdir()
    (folder / "a.txt").write_text("x")
    assert [file.name for file in find_files(folder)] == ["a.txt"]


def test_links_in_a_folder_are_not_followed(tmp_path):
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    for directory in (outside, folder):
        directory.mkdir()
        (directory / f"{directory.name}.txt").write_text("x")
    (folder / "link.txt").symlink_to(outside / "outside.txt")
    (folder / "linked").symlink_to(outside)
    assert [file.name for file in find_files(folder)] == ["folder.txt"]


def test_pipes_in_a_folder_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "a.txt").write_text("x")
    assert [file.name for file in find_files(tmp_path)] == ["a.txt"]


@pytest.mark.parametrize("name", ["nowhere.txt", "a" * 300, "nul\0byte"])
def test_a_missing_path_is_named(tmp_path, name):
    with pytest.raises(InputError, match="No such file or folder") as caught:
        find_files(tmp_path / name)
    assert name in caught.value.message


def test_a_file_of_an_unknown_kind_is_refused_with_the_known_ones(tmp_path):
    file = tmp_path / "book.pdf"
    file.write_text("x")
    with pytest.raises(InputError, match=r"book\.pdf is not a kind of file") as caught:
        find_files(file)
    assert ".txt, .md, .jsonl" in caught.value.hint


def test_a_folder_without_text_is_refused(tmp_path):
    (tmp_path / "book.pdf").write_text("x")
    with pytest.raises(InputError, match=r"No \.txt or \.md or \.jsonl files in"):
        find_files(tmp_path)


# Stories


def test_a_file_is_one_document(tmp_path):
    assert stories(tmp_path, "\nOnce.\n\nTwice.\n") == [Document("a.txt", "Once.\n\nTwice.")]


def test_end_of_text_separates_documents_and_is_no_text(tmp_path):
    found = stories(tmp_path, "One.\n<|endoftext|>\n<|startoftext|>Two.<|endoftext|>\n\n")
    assert [(document.source, document.text) for document in found] == [
        ("a.txt#1", "One."),
        ("a.txt#2", "Two."),
    ]


# Conversations


def test_conversations_are_one_a_line_and_blank_lines_are_none():
    found = read_conversations(f"{line(HI, HELLO)}\n\n{line(HELLO)}\n", "c.jsonl")
    assert [document.source for document in found] == ["c.jsonl:1", "c.jsonl:3"]
    assert found[0].messages == (Message("user", "Hi."), Message("assistant", "Hello."))


def test_two_messages_of_one_role_in_a_row_are_kept_as_they_are():
    (document,) = read_conversations(line(HI, HI, HELLO, HELLO), "c.jsonl")
    assert [message.role for message in document.messages] == ["user"] * 2 + ["assistant"] * 2


def test_a_line_separator_inside_a_string_does_not_end_the_line():
    told = {"role": "assistant", "content": "one\u2028two\u0085three"}
    text = json.dumps({"messages": [told]}, ensure_ascii=False)
    assert read_conversations(text, "c.jsonl")[0].messages[0].content == told["content"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nonsense", "Expecting value"),
        ("[]", 'no "messages" list'),
        ('{"messages": {}}', 'no "messages" list'),
        ('{"messages": []}', 'no "messages" list'),
        ('{"prompt": "a", "completion": "b"}', 'no "messages" list'),
        (line("text"), "message 1: role must be one of system, user, assistant"),
        (line(HI, {"role": "tool", "content": "x"}), "message 2: role must be one of"),
        (line(HI, {"role": ["user"], "content": "x"}), "message 2: role must be one of"),
        (line(HI, {"role": "assistant"}), "message 2: content must be text"),
        (line(HI, {"role": "assistant", "content": None}), "message 2: content must be text"),
        (line(HI, {"role": "assistant", "content": " \n"}), "message 2: content must be text"),
        (line({"role": "assistant", "content": "\ud83d"}), "message 1: half a surrogate pair"),
        (line(HI), "no assistant message"),
        ("[" * 100_000, "recursion"),
        ('{"messages": ' + "9" * 5_000 + "}", "digit"),
    ],
)
def test_a_wrong_line_is_named_with_its_fault(text, says):
    message = fault(f"{line(HI, HELLO)}\n{text}")
    assert message.startswith("c.jsonl has 1 wrong line(s): line 2: ")
    assert says in message
    assert "\n" not in message


def test_an_emoji_in_json_escapes_is_a_character():
    text = '{"messages": [{"role": "assistant", "content": "\\ud83e\\udd86"}]}'
    assert read_conversations(text, "c.jsonl")[0].messages[0].content == "🦆"


def test_all_wrong_lines_are_counted_and_the_first_five_named():
    message = fault("\n".join(["{", line(HI, HELLO), *["[]"] * 7]))
    assert message.startswith("c.jsonl has 8 wrong line(s): line 1: ")
    assert "line 6: " in message
    assert "line 7: " not in message
    assert "; and 3 more." in message


# Long stories

words = st.text(alphabet="ab >.\u00e9", min_size=0, max_size=30)
texts = st.lists(words, max_size=60).flatmap(
    lambda lines: st.sampled_from(["\n", "\n\n"]).map(lambda end: end.join(lines))
)


@relaxed
@given(texts, st.integers(20, 200))
def test_the_parts_of_a_long_story_are_the_story(text, part_bytes):
    parts = cut_long(Document("a.txt", text), part_bytes)
    assert "".join(part.text for part in parts) == text
    assert [part.ends for part in parts] == [False] * (len(parts) - 1) + [True]
    assert not any(part.text.lstrip("\n").startswith(">") for part in parts[1:])
    assert all(part.text for part in parts) or parts == [Document("a.txt", text)]


def test_parts_are_about_as_long_as_asked_and_have_sources_of_their_own():
    text = "\n\n".join(f"Paragraph {number} of the story." for number in range(400))
    parts = cut_long(Document("a.txt", text), 1_000)
    assert all(250 <= part.n_bytes <= 1_250 for part in parts)
    assert [part.source for part in parts] == [f"a.txt:{n}" for n in range(1, len(parts) + 1)]


def test_an_action_stays_with_what_it_answers():
    # Without blank lines, paragraphs are lines; an action may not begin a part.
    text = "You see a door.\n> You open it.\nIt creaks open slowly.\n" * 50
    parts = cut_long(Document("a.txt", text), 300)
    assert len(parts) > 5
    assert not any(part.text.startswith(">") for part in parts)


def test_conversations_and_short_stories_are_not_cut():
    chat = Document("c", messages=(Message("assistant", "x" * 9_000),))
    short = Document("s", text="A line.\n" * 10)
    assert cut_long(chat, 100) == [chat]
    assert cut_long(short, 100) == [short]
