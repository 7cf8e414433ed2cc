"""What a base is trained on: documents, the side held out, and what is derived from them."""

from __future__ import annotations

import lzma

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmft.corpus.build import Settings
from lmft.corpus.compiled import build_into
from lmft.corpus.store import load_info
from lmft.errors import InputError
from lmft.pretrain import chat
from lmft.pretrain.dialogue import as_lines, exchanges
from lmft.pretrain.second import adventures, in_first_person, to_second_person
from lmft.pretrain.text import content_hash, documents, sides
from tests.pretraining import SPOKEN, TALES, TALK, TOLD

WORDS = st.text(
    st.characters(codec="utf-8", exclude_characters="\r\n|\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"),
    min_size=1,
)


def a_file(folder, text, name="t.txt"):
    file = folder / name
    data = text.encode()
    file.write_bytes(lzma.compress(data) if name.endswith(".xz") else data)
    return file


@pytest.mark.parametrize("name", ["t.txt", "t.txt.xz"])
def test_documents_stand_between_separators(tmp_path, name):
    text = "One.\n\nStill one.\n<|endoftext|>\n\n<|endoftext|>\nTwo <|endoftext|> too.\n"
    found = list(documents(a_file(tmp_path, text, name)))
    assert found == ["One.\n\nStill one.", "Two <|endoftext|> too."]


@pytest.mark.parametrize(
    ("content", "name"),
    [(b"\xff\xfe\x00", "t.txt"), (b"no xz", "t.txt.xz"), (b"\xfd7zXZ\x00", "a.xz")],
)
def test_what_is_no_text_is_refused(tmp_path, content, name):
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(InputError, match="cannot be read as text"):
        list(documents(file))


@given(st.lists(WORDS.filter(lambda text: text.strip()), min_size=2), st.floats(0.01, 0.5))
def test_sides_are_the_text_in_order_and_the_end_is_held_out(tmp_path_factory, texts, share):
    texts = ["\n".join([text.strip()] * 5) for text in texts]
    file = a_file(tmp_path_factory.mktemp("t"), "\n<|endoftext|>\n".join(texts))
    try:
        train, heldout = sides(file, share, chats=True)
    except InputError:
        return
    whole = "".join("".join(texts).split())
    assert "".join("".join([*train, *heldout]).split()) == whole
    # It is cut between lines.
    longest_line = max(len(line) for text in texts for line in text.split("\n"))
    assert abs(sum(map(len, heldout)) - share * sum(map(len, texts))) <= longest_line + 2


def test_too_little_text_is_refused(tmp_path):
    with pytest.raises(InputError, match="too little text"):
        sides(a_file(tmp_path, "Short\nand small."), 0.01, chats=True)


def test_a_compiled_corpus_has_sides_of_its_own(tmp_path):
    build_into(TALES, tmp_path / "corpus", Settings("adventure", 0.2))
    train, heldout = sides(tmp_path / "corpus", 0.01, chats=False)
    assert len(heldout) > 1
    assert len(train) + len(heldout) == len(TALES)
    assert content_hash(tmp_path / "corpus") == load_info(tmp_path / "corpus").hash


def test_compiled_conversations_are_turns_where_there_are_tokens_for_them(tmp_path):
    build_into([TALK], tmp_path / "corpus", Settings("chat", 0.1))
    train, _ = sides(tmp_path / "corpus", 0.01, chats=True)
    assert {role for turns in train for role, _ in turns} <= set(chat.BEGINS)
    as_text, _ = sides(tmp_path / "corpus", 0.01, chats=False)
    assert len(as_text) == len(train)
    assert train[0][-1][1] in as_text[0]


# Derived


def test_an_exchange_names_both_speakers():
    found = list(exchanges(f"It was late.\n{SPOKEN}\nNobody spoke."))
    assert [[name for name, _ in lines] for lines in found] == [
        ["Anna", "Bertram", "Anna", "Bertram"]
    ]
    assert as_lines(found[0]).splitlines()[2] == "Anna: Then why does the latch move?"


@pytest.mark.parametrize(
    "text",
    [
        '"Yes," said Anna.\n"No," said Anna.\n"Yes," said Anna.\n"No," said Anna.',
        '"Yes," he said.\n"No," she said.\n"Yes," he said.\n"No," she said.',
        "\n".join(SPOKEN.splitlines()[:3]),
    ],
)
def test_one_speaker_unknown_ones_or_too_few_lines_are_no_exchange(text):
    assert list(exchanges(text)) == []


def test_an_exchange_is_a_chat_about_who_speaks():
    (lines,) = exchanges(SPOKEN)
    turns = chat.from_exchange(lines)
    assert turns is not None
    assert turns[0] == ("system", "You are Bertram. You speak with Anna.")
    assert [role for role, _ in turns[1:]] == ["user", "assistant"] * 2
    assert [words for _, words in turns[1:]] == [words for _, words in lines]


def test_an_exchange_of_three_is_no_chat():
    lines = [("Anna", "a"), ("Bertram", "b"), ("Carl", "c"), ("Anna", "d")]
    assert chat.from_exchange(lines) is None


def test_a_chat_ends_with_the_assistant_and_joins_lines_of_one_speaker():
    turns = chat.from_exchange([("A", "one"), ("A", "two"), ("B", "three"), ("A", "four")])
    assert turns is not None
    assert turns[1:] == (("user", "one two"), ("assistant", "three"))


def test_narration_in_the_first_person_is_told_to_you():
    assert in_first_person(TOLD)
    assert adventures(TOLD).splitlines() == [
        "> You take the lamp from the hook.",
        "It was cold, and you were afraid of your own shadow.",
        "> You open the door.",
        '"I see you," he said, and you knew that you must go down to him by yourself.',
    ]


def test_speech_stays_as_it_was_said():
    assert to_second_person('"I am lost," I said.') == '"I am lost," you said.'
    assert not in_first_person('"I am I, and I say I."')


@given(st.text())
def test_any_text_can_be_retold_and_searched(text):
    adventures(text)
    list(exchanges(text))
