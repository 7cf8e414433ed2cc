"""CSV and TSV tables: known columns to documents, wrong rows by the line where they begin."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmft.corpus.decode import MAX_LINE_CHARACTERS, Unreadable
from lmft.corpus.documents import Document, Message
from lmft.corpus.findings import Findings
from lmft.corpus.readers.rows.table import READER
from lmft.corpus.source import SourceFile

relaxed = settings(deadline=None, max_examples=50)


class Outcome(NamedTuple):
    documents: list[Document]
    findings: Findings

    @property
    def faults(self) -> list[str]:
        return [str(fault) for fault in self.findings.faults]

    @property
    def turns(self) -> list[list[tuple[str, str]]]:
        return [
            [(turn.name or turn.role, turn.content) for turn in document.messages]
            for document in self.documents
        ]


def a_file(folder: Path, content: str | bytes, name: str = "t.csv") -> SourceFile:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return SourceFile(path, name)


def outcome(source: SourceFile) -> Outcome:
    findings = Findings()
    return Outcome(list(READER.read(source, findings)), findings)


def read(folder: Path, content: str | bytes, name: str = "t.csv") -> Outcome:
    return outcome(a_file(folder, content, name))


# A document a row


def test_a_column_of_text_is_stories_and_adventures(tmp_path):
    found = read(
        tmp_path,
        'id,text\n1,"It was dark."\n2,"A door.\n> You open it.\nDark.\n> You go.\nDark."\n',
    )
    assert found.documents == [
        Document("t.csv:2", "story", text="It was dark."),
        Document("t.csv:3", "adventure", text="A door.\n> You open it.\nDark.\n> You go.\nDark."),
    ]
    assert found.findings.notes == ["t.csv: columns ignored: id"]


def test_prompts_and_completions(tmp_path):
    found = read(tmp_path, "Prompt, COMPLETION \n2+2=,4\n")
    assert found.documents[0].kind == "instruct"
    assert found.turns == [[("user", "2+2="), ("assistant", "4")]]


def test_alpaca_with_and_without_input(tmp_path):
    content = "instruction,input,output,history\nTranslate.,Abend,Evening,x\nGreet.,,Hello,\n"
    assert read(tmp_path, content).turns == [
        [("user", "Translate.\n\nAbend"), ("assistant", "Evening")],
        [("user", "Greet."), ("assistant", "Hello")],
    ]
    assert read(tmp_path, "instruction,output\nGreet.,Hello\n").documents


def test_preferences(tmp_path):
    found = read(tmp_path, "prompt,chosen,rejected\nHi,Hello,What?\nHi,same,same\n")
    assert found.documents == [
        Document(
            "t.csv:2",
            "preference",
            messages=(Message("user", "Hi"),),
            chosen=(Message("assistant", "Hello"),),
            rejected=(Message("assistant", "What?"),),
        )
    ]
    assert found.faults == ["t.csv:3: `chosen` and `rejected` are the same; nothing to prefer"]


@pytest.mark.parametrize(
    ("name", "delimiter"), [("t.csv", ","), ("t.csv", ";"), ("t.csv", "\t"), ("t.tsv", "\t")]
)
def test_the_delimiter_is_the_one_that_gives_known_columns(tmp_path, name, delimiter):
    rows = (("prompt", "completion"), ("a", '"x,y;z\tw"'))
    content = "".join(delimiter.join(row) + "\n" for row in rows)
    assert read(tmp_path, content, name).turns == [[("user", "a"), ("assistant", "x,y;z\tw")]]


def test_cells_are_kept_as_they_are(tmp_path):
    cells = ["=cmd|' /C calc'!A0", "@SUM(1)", "“naïve”\u2028 café", " spaced ", 'say ""hi""']
    content = "text\n" + "".join(f'"{cell}"\n' for cell in cells)
    found = read(tmp_path, content)
    assert [document.text for document in found.documents] == [
        *cells[:-1],
        'say "hi"',
    ]


def test_a_column_without_a_name_is_ignored(tmp_path):
    found = read(tmp_path, ",text\n0,Dark.\n")
    assert found.documents[0].text == "Dark."
    assert found.findings.notes == ["t.csv: columns ignored: (no name)"]


# Conversations


def test_rows_of_one_conversation_are_one_document(tmp_path):
    content = (
        "conversation_id,role,content\n"
        "7,system,Be brief.\n7,Human,Hi\n7,user,there\n7,assistant,Hello\n"
        "8,user,Bye\n8,assistant,Bye\n"
    )
    found = read(tmp_path, content)
    assert found.turns == [
        [("system", "Be brief."), ("user", "Hi\nthere"), ("assistant", "Hello")],
        [("user", "Bye"), ("assistant", "Bye")],
    ]
    assert [document.source for document in found.documents] == ["t.csv:2", "t.csv:6"]
    assert {document.kind for document in found.documents} == {"chat"}
    assert not any(document.uncast for document in found.documents)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("7,narator,Hm", "unknown role `narator`"),
        ("7,user,", "the cell of column content is empty"),
        (",user,Hm", "the cell of column conversation_id is empty"),
        ("7,,Hm", "the cell of column role is empty"),
        ("7,user", "expected 3 cells, has 2"),
        ('7,user,"Hm"x', "text after a closing quote"),
    ],
)
def test_a_conversation_with_a_hole_is_left_out_as_a_whole(tmp_path, row, message):
    content = (
        f"conversation_id,role,content\n7,user,Hi\n{row}\n7,assistant,Hello\n"
        "8,user,Bye\n8,assistant,Bye\n"
    )
    found = read(tmp_path, content)
    assert found.turns == [[("user", "Bye"), ("assistant", "Bye")]]
    (fault,) = found.faults
    assert fault.startswith(f"t.csv:3: {message}")
    assert fault.endswith("; its conversation is left out")


def test_a_conversation_that_comes_back_or_that_nobody_answers_is_a_fault(tmp_path):
    content = (
        "conversation_id,role,content\n"
        "7,user,Hi\n7,assistant,Hello\n8,user,Anyone?\n7,user,Bye\n7,assistant,Bye\n"
    )
    found = read(tmp_path, content)
    assert found.turns == [[("user", "Hi"), ("assistant", "Hello")]]
    assert found.faults == [
        "t.csv:4: the conversation has no assistant message, so nothing to learn from; "
        "add the reply",
        "t.csv:5: its conversation began earlier; sort by conversation_id",
    ]


# Scripts


def test_a_script_is_a_chat_that_is_not_cast_yet(tmp_path):
    content = (
        "Character;Dialogue\nROSALIND;I pray thee\nROSALIND;be merry.\n;Enter CELIA\nCELIA;No.\n"
    )
    found = read(tmp_path, content)
    assert found.documents == [
        Document(
            "t.csv:2",
            "chat",
            messages=(
                Message("user", "I pray thee\nbe merry.", "ROSALIND"),
                Message("system", "Enter CELIA"),
                Message("user", "No.", "CELIA"),
            ),
            uncast=True,
        )
    ]


def test_each_scene_is_a_document(tmp_path):
    content = "scene,speaker,line\n1,A,a\n,B,b\n2,A,c\n1,A,d\n"
    found = read(tmp_path, content)
    assert found.turns == [[("A", "a"), ("B", "b")], [("A", "c")], [("A", "d")]]
    assert [document.scene for document in found.documents] == [0, 1, 2]
    assert [document.source for document in found.documents] == ["t.csv:2", "t.csv:4", "t.csv:5"]


def test_beside_a_text_the_line_is_a_number(tmp_path):
    found = read(tmp_path, "line,speaker,text\n1,A,Hello\n")
    assert found.turns == [[("A", "Hello")]]


def test_an_empty_line_is_a_fault_and_the_rest_of_the_scene_is_kept(tmp_path):
    found = read(tmp_path, "speaker,line\nA,a\nB, \nA,c\n")
    assert found.turns == [[("A", "a\nc")]]
    assert found.faults == ["t.csv:3: the cell of column line is empty"]


# Bad rows and files


def test_every_bad_row_is_listed_with_the_line_where_it_begins(tmp_path):
    content = (
        "prompt,completion\n"
        '"two\nlines","and\n\nthree"\n'  # 2 to 5
        "a\n"  # 6
        "a,b,c\n"
        '\n,,\n"  ",\n'  # 8 to 10: nothing in them
        "a,\n"  # 11
        '"a"b,c\n'  # 12
        '"x\ny",\n'  # 13
        "a,b\n"  # 15
    )
    found = read(tmp_path, content)
    assert [document.source for document in found.documents] == ["t.csv:2", "t.csv:15"]
    assert found.turns[0] == [("user", "two\nlines"), ("assistant", "and\n\nthree")]
    assert found.faults == [
        "t.csv:6: expected 2 cells, has 1",
        "t.csv:7: expected 2 cells, has 3",
        "t.csv:11: the cell of column completion is empty",
        't.csv:12: text after a closing quote; write a quote inside a quoted cell as ""',
        "t.csv:13: the cell of column completion is empty",
    ]


def test_a_quote_that_is_never_closed_is_told_where_it_opens(tmp_path):
    found = read(tmp_path, 'text\nDark.\n"It was\nand was\n')
    assert [document.text for document in found.documents] == ["Dark."]
    assert found.faults == [
        "t.csv:3: a quote opened in this row is never closed; all after it is lost"
    ]


def test_a_cell_of_ten_million_characters_is_read(tmp_path):
    text = "It was a dark night. " * 500_000
    found = read(tmp_path, f'text\n"{text}"\nDark.\n')
    assert [document.text for document in found.documents] == [text, "Dark."]
    assert found.faults == []


def test_a_cell_longer_than_the_cap_is_a_fault(tmp_path):
    line = "x" * (MAX_LINE_CHARACTERS // 2)
    found = read(tmp_path, f'text\n"{line}\n{line}\n{line}"\nDark.\n')
    assert found.faults[0] == "t.csv:2: a cell of more than 16 million characters"


def test_the_limit_of_the_csv_module_is_only_ever_raised(tmp_path):
    before = csv.field_size_limit(MAX_LINE_CHARACTERS * 2)
    try:
        read(tmp_path, "text\nDark.\n")
        assert csv.field_size_limit() == MAX_LINE_CHARACTERS * 2
    finally:
        csv.field_size_limit(before)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "0 bytes"),
        (b"\xef\xbb\xbf", "no rows"),
        (b"\n\n", "no rows"),
        (b"text\n", "a header and no rows"),
        (
            b"It was dark.\nHe ran.\n",
            "does not name columns that lmft knows; known: conversation_id,",
        ),
        (b"prompt,answer\na,b\n", r"\(answer, prompt\) does not name columns"),
        (b"text,text\na,b\n", "the column text occurs twice"),
        (b'"text\nDark.\n', "the header cannot be read: a quote opened"),
        (b"text\na\0b\n", "NUL"),
        ("text\nDark.\n".encode("utf-16-le"), "UTF-16 without a byte order mark"),
        (b"text\n" + b"x" * (MAX_LINE_CHARACTERS + (2 << 20)), "break it into lines"),
    ],
)
def test_a_useless_file_is_refused_as_a_whole(tmp_path, content, message):
    with pytest.raises(Unreadable, match=message):
        read(tmp_path, content)


def test_a_byte_order_mark_is_no_part_of_the_header(tmp_path):
    for encoding in ("utf-8-sig", "utf-16"):
        found = read(tmp_path, "text\r\nDark.\r\n".encode(encoding))
        assert found.documents[0].text == "Dark."
        assert found.findings.notes == [f"t.csv: decoded as {encoding} (byte order mark)"]


# What is claimed


@pytest.mark.parametrize(
    ("content", "name", "reason"),
    [
        ("id,text\n1,a\n", "t.csv", "a comma-separated table of text"),
        ("text\na\n", "t.csv", "a comma-separated table of text"),
        ("prompt\tcompletion\na\tb\n", "t.tsv", "a tab-separated table of prompt, completion"),
        ("prompt;completion\na;b\n", "t.txt", "a semicolon-separated table of prompt, completion"),
        ("no,header\n", "t.csv", "named .csv"),
        ("", "t.tsv", "named .tsv"),
    ],
)
def test_tables_are_claimed_with_a_reason(tmp_path, content, name, reason):
    assert READER.sniff(a_file(tmp_path, content, name)) == reason


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("Dark, cold, and wet; so it was.\nHe ran, and fell, and slept.\n", "t.txt"),
        ("text\nIt was dark.\n", "t.txt"),
        ("Text, name.\nIt was dark.\n", "t.txt"),
        ("name, text\n\nIt was dark.\n", "t.txt"),
        ("name, text\n", "t.txt"),
        ('{"text": "a", "name": "b"}\n', "t.txt"),
        ("", "t.txt"),
        (gzip.compress(b"x", mtime=0), "t.csv"),
    ],
)
def test_prose_and_archives_are_not_claimed(tmp_path, content, name):
    assert READER.sniff(a_file(tmp_path, content, name)) is None


# Invariants

cell = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), min_size=1, max_size=20
).filter(str.strip)


@relaxed
@given(
    rows=st.lists(st.tuples(cell, cell), min_size=1, max_size=6),
    delimiter=st.sampled_from(",;\t"),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_what_python_writes_is_read_back(tmp_path_factory, rows, delimiter, end):
    table = io.StringIO(newline="")
    writer = csv.writer(table, delimiter=delimiter, lineterminator=end)
    writer.writerows([("prompt", "completion"), *rows])
    source = a_file(tmp_path_factory.getbasetemp(), table.getvalue())
    found = outcome(source)
    assert found.faults == []
    assert found.turns == [[("user", a), ("assistant", b)] for a, b in rows]
    lines = table.getvalue().replace("\r\n", "\n").split("\n")
    for document in found.documents:
        line = int(document.source.rpartition(":")[2])
        assert document.messages[0].content.split("\n")[0].strip('"')[:1] in lines[line - 1]


soup = st.lists(
    st.sampled_from(['"', ",", "\n", "\r", ";", "\t", "a", " ", "7", "user", "assistant", "é"]),
    max_size=40,
).map("".join)


@relaxed
@given(
    header=st.sampled_from(
        [
            "",
            "text\n",
            "prompt,completion\n",
            "speaker,line,scene\n",
            "conversation_id,role,content\n",
        ]
    ),
    body=soup.map(str.encode) | st.binary(max_size=40),
    name=st.sampled_from(["t.csv", "t.tsv", "t.txt"]),
)
def test_any_table_is_documents_faults_or_refused(tmp_path_factory, header, body, name):
    source = a_file(tmp_path_factory.getbasetemp(), header.encode() + body, name)
    READER.sniff(source)
    try:
        found = outcome(source)
    except Unreadable:
        return
    assert found.documents or found.faults
