"""Plain text with end marks: where one stands inside a sentence, and what is done about it."""

from __future__ import annotations

import pytest

from lmft.corpus.decode import Unreadable
from lmft.corpus.findings import Findings
from lmft.corpus.readers.text import READER
from lmft.corpus.source import find_sources
from tests.unit.tales import tale

EOS = "<|endoftext|>"


@pytest.fixture
def read(tmp_path):
    def read_text(text: str) -> tuple[int, Findings]:
        (tmp_path / "a.txt").write_text(text, encoding="utf-8")
        findings = Findings()
        (source,) = find_sources([tmp_path / "a.txt"])
        return len(list(READER.read(source, findings))), findings

    return read_text


def test_a_file_of_chunks_is_unreadable_at_the_line_of_the_first(read):
    chunks = EOS.join(f"and so {tale(number)[:-30]}" for number in range(9))
    with pytest.raises(Unreadable, match=r"8 of 8 .* stand inside a sentence") as caught:
        read(chunks)
    assert caught.value.line == 1 + tale(0).count("\n")


def test_a_few_marks_inside_sentences_are_noted(read):
    tales = [tale(number) for number in range(9)]
    tales[3], tales[4] = tales[3][:-30], f"and so {tales[4]}"
    n_documents, findings = read(f"\n{EOS}\n".join(tales))
    assert n_documents == 9
    assert findings.n_faults == 0
    assert "1 of 8" in findings.notes[0]


@pytest.mark.parametrize(
    "song",
    [
        "i walk alone\nthe moon is gone\n{n} times i sang",
        "वह जंगल में गया\nऔर {n} बार लौटा।",
        "کہانی {n} ختم ہوئی۔",
        "วันที่ {n} เขาไปแล้ว",
        "He came {n} times.\n\nTHE END",
    ],
)
def test_other_scripts_and_songs_are_no_chunks(read, song):
    n_documents, findings = read(f"\n{EOS}\n".join(song.format(n=n) for n in range(9)))
    assert n_documents == 9
    assert not findings.n_faults + len(findings.notes)
