"""PDF documents, made with fpdf2 and broken by hand."""

from __future__ import annotations

import functools
import io
from contextlib import suppress

import pytest
from fpdf import FPDF
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from lmft.corpus.decode import Unreadable
from lmft.corpus.findings import Findings
from lmft.corpus.readers.books import pdf as limits
from lmft.corpus.readers.books.pdf import READER, pdf_lines
from lmft.corpus.readers.books.print_pages import printed_lines
from lmft.corpus.source import SourceFile

relaxed = settings(deadline=None, max_examples=100)


class Book(FPDF):
    """A small book: its title on top of each page, the number below."""

    def header(self):
        self.cell(0, 8, "The Long Light", align="C", new_x="LMARGIN", new_y="NEXT")

    def footer(self):
        self.set_y(-15)
        self.cell(0, 8, f"- {self.page_no()} -", align="C")


SENTENCE = (
    "The keeper climbed the stairs with the lan\u00adtern in her hand and count\u00aded them."
)
PARAGRAPHS = [
    f"It was {'very ' * (number % 9)}dark. {SENTENCE} {SENTENCE}" for number in range(1, 41)
]


@functools.cache
def book() -> bytes:
    pdf = Book(format=(110, 160))
    pdf.set_font("Courier", size=8)
    pdf.add_page()
    for text in PARAGRAPHS:
        pdf.multi_cell(0, 4, text, align="L", new_x="LMARGIN", new_y="NEXT")
    return bytes(pdf.output())


@functools.cache
def plain(*pages: str, password: str | None = None) -> bytes:
    pdf = FPDF()
    pdf.set_font("Helvetica", size=11)
    if password is not None:
        pdf.set_encryption(owner_password="owner", user_password=password)
    for text in pages:
        pdf.add_page()
        if text:
            pdf.multi_cell(0, 5, text, new_x="LMARGIN", new_y="NEXT")
    return bytes(pdf.output())


def file(tmp_path, data: bytes, name: str = "book.pdf") -> SourceFile:
    path = tmp_path / name
    path.write_bytes(data)
    return SourceFile(path, name)


# Whole documents


def test_a_book_is_its_paragraphs_without_what_is_on_every_page(tmp_path):
    pages = [page.extract_text() for page in PdfReader(io.BytesIO(book())).pages]
    assert sum(page.count("lan-\n") for page in pages) > 1, "the sample must have broken words"
    source = file(tmp_path, book())
    assert READER.sniff(source)
    findings = Findings()
    text = "".join(document.text for document in READER.read(source, findings))
    assert text.replace("\n\n", "\n").split("\n") == [
        text.replace("\u00ad", "") for text in PARAGRAPHS
    ]
    n_pages = findings.dropped_places["page number"]
    assert n_pages > 5
    assert findings.dropped_places == {"page number": n_pages, "running header": n_pages}
    assert {drop.excerpt for drop in findings.drops if drop.reason == "running header"} == {
        "The Long Light"
    }


def test_lines_are_numbered_by_their_pages(tmp_path):
    lines = pdf_lines(file(tmp_path, plain("One.", "Two.")), Findings())
    assert [(line.number, line.text) for line in lines if line.text] == [(1, "One."), (2, "Two.")]


def test_pages_without_text_are_counted(tmp_path):
    findings = Findings()
    lines = pdf_lines(file(tmp_path, plain("Words.", "", "")), findings)
    assert [line.text for line in lines] == ["Words."]
    assert findings.notes == [
        "book.pdf: 2 of 3 pages have no text; if they are pictures of text, run OCR first"
    ]


def test_a_password_is_needed_only_where_there_is_one(tmp_path):
    lines = pdf_lines(file(tmp_path, plain("Open.", password="")), Findings())
    assert lines[0].text == "Open."
    with pytest.raises(Unreadable, match="protected by a password"):
        pdf_lines(file(tmp_path, plain("Locked.", password="secret")), Findings())


def test_scans_are_refused_with_what_to_do(tmp_path):
    with pytest.raises(Unreadable, match="run OCR first"):
        list(READER.read(file(tmp_path, plain("", "")), Findings()))


def test_pages_and_characters_have_limits(tmp_path, monkeypatch):
    source = file(tmp_path, plain("One.", "Two."))
    monkeypatch.setattr(limits, "MAX_CHARACTERS", 3)
    with pytest.raises(Unreadable, match="characters; split it"):
        pdf_lines(source, Findings())
    monkeypatch.setattr(limits, "MAX_PAGES", 1)
    with pytest.raises(Unreadable, match="more than 1 pages"):
        pdf_lines(source, Findings())


@pytest.mark.parametrize(
    ("data", "claimed"),
    [
        (b"%PDF-1.7\n", True),
        (b"\n%PDF-1.4", True),
        (b"He typed %PDF- and waited.", False),
        (b"PK\x03\x04", False),
    ],
)
def test_a_pdf_is_known_by_its_first_bytes(tmp_path, data, claimed):
    assert (READER.sniff(file(tmp_path, data, "a.txt")) is not None) == claimed


def read_or_refused(source: SourceFile) -> None:
    with suppress(Unreadable):
        list(READER.read(source, Findings()))


def test_a_document_cut_anywhere_is_read_or_refused(tmp_path):
    whole = plain("One.", "Two.")
    for length in range(5, len(whole), 200):
        read_or_refused(file(tmp_path, whole[:length]))


@settings(deadline=None, max_examples=40)
@given(st.binary(max_size=400))
def test_anything_behind_the_magic_is_refused(tmp_path_factory, rest):
    with pytest.raises(Unreadable):
        pdf_lines(file(tmp_path_factory.mktemp("random"), b"%PDF-1.7\n" + rest), Findings())


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_a_damaged_document_is_read_or_refused(tmp_path_factory, data):
    whole = bytearray(plain("One.", "Two."))
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(5, len(whole) - 1))] = data.draw(st.integers(0, 255))
    read_or_refused(file(tmp_path_factory.mktemp("damaged"), bytes(whole)))


# Pages to paragraphs

FULL = "She climbed the stairs with the lamp in her hand and"
WIDE = "counted every step until the keeper called from above"


def joined(*pages: str, findings: Findings | None = None) -> str:
    found = Findings() if findings is None else findings
    lines = printed_lines("b.pdf", [page.split("\n") for page in pages], found)
    return "\n".join(line.text for line in lines)


def test_a_paragraph_runs_over_the_end_of_a_page():
    assert joined(f"{FULL}\n{WIDE}", f"{FULL}\n{WIDE}") == f"{FULL}\n{WIDE}\n{FULL}\n{WIDE}"


def test_a_sentence_that_goes_on_is_not_broken_by_blank_lines_of_the_page():
    assert joined(f"{FULL}\n{WIDE}\n \n", f" \n{WIDE}") == f"{FULL}\n{WIDE}\n{WIDE}"


def test_a_short_last_line_ends_a_paragraph():
    assert joined(f"{FULL}\n{WIDE}\nit.\n{FULL}\n{WIDE}") == (
        f"{FULL}\n{WIDE}\nit.\n\n{FULL}\n{WIDE}"
    )


def test_a_chapter_stands_apart():
    assert joined(f"{FULL}\n{WIDE}\nCHAPTER II\n{FULL}\n{WIDE}") == (
        f"{FULL}\n{WIDE}\n\nCHAPTER II\n\n{FULL}\n{WIDE}"
    )


def test_verse_and_what_is_short_throughout_stays_together():
    verse = "Roses are red\nViolets are blue\nSugar is sweet\nAnd so are you"
    assert joined(verse) == verse


def test_blank_lines_behind_every_line_are_the_makers_of_the_file():
    text = [FULL, "", WIDE, "", FULL, "", WIDE, ""]
    assert joined("\n".join(text)) == f"{FULL}\n{WIDE}\n{FULL}\n{WIDE}"


def body(number: int) -> str:
    """Two lines that no other page has."""
    word = "abcdefghijklmnopqrstuvwxyz"[number] * 6
    return f"the {word} {FULL}\nthe {word} {WIDE}"


def dropped(*pages: str) -> list[tuple[str, str, int]]:
    findings = Findings()
    joined(*pages, findings=findings)
    return [(drop.reason, drop.excerpt, drop.first_line) for drop in findings.drops]


def test_headers_of_left_and_right_pages_are_told_by_their_rising_numbers():
    pages = [
        f"{number} A. WRITER\n{body(number)}"
        if number % 2
        else f"THE STORM {number}\n{body(number)}"
        for number in range(11, 19)
    ]
    assert [reason for reason, _, _ in dropped(*pages)] == ["running header"] * 8


def test_a_header_and_a_footer_of_two_lines_go():
    pages = [f"The Lamp\n{body(n)}\nLighthouse Press\nPage {n} of 9" for n in range(1, 6)]
    reasons = [reason for reason, _, _ in dropped(*pages)]
    assert sorted(reasons) == ["page number"] * 5 + ["running header"] * 10
    assert joined(*pages) == "\n".join(body(n) for n in range(1, 6))


def test_a_chapters_running_title_goes_and_its_first_stays():
    pages = [f"Chapter 3\n{body(n)}" for n in range(4)]
    assert [page for _, _, page in dropped(*pages)] == [2, 3, 4]


@pytest.mark.parametrize(
    "tops",
    [
        ["Chapter 1", "Chapter 2", "Chapter 3", "Chapter 4"],
        ["1", "Night fell.", "Day broke.", "2", "It rained.", "3"],
        ["1942", "1943", "1950", "1951"],
        ["“Yes.”", "“Yes.”", "“Yes.”", "“Yes.”"],
        ["The Lamp", "The Lamp", "Something else"],
    ],
)
def test_what_a_chapter_or_a_speech_begins_with_stays(tops):
    assert dropped(*(f"{top}\n{body(n)}" for n, top in enumerate(tops))) == []


def test_a_speakers_name_on_top_of_pages_stays():
    pages = ["TESSA\nHello.\nBO\nHello.\nTESSA\nGood night.\nTESSA\nGood night!"] * 4
    assert dropped(*pages) == []


words = st.text(alphabet="abz .,", max_size=20)


@relaxed
@given(st.lists(st.lists(words, max_size=6), max_size=6))
def test_every_line_is_kept_in_order_or_reported(pages):
    findings = Findings()
    lines = printed_lines("b.pdf", pages, findings)
    kept = [line.text for line in lines if line.text]
    given_lines = [line.strip() for page in pages for line in page if line.strip()]
    assert len(kept) + len(findings.drops) == len(given_lines)
    rest = iter(given_lines)
    assert all(line in rest for line in kept)
    assert [line.number for line in lines] == sorted(line.number for line in lines)
