"""Word documents, made with python-docx and broken by hand."""

from __future__ import annotations

import io
import zipfile
from contextlib import suppress

import docx
import pytest
from docx.enum.style import WD_STYLE_TYPE
from docx.enum.text import WD_BREAK
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls
from hypothesis import given, settings
from hypothesis import strategies as st

from lmft.corpus.decode import Unreadable
from lmft.corpus.findings import Findings
from lmft.corpus.readers.books.docx import READER, docx_lines
from lmft.corpus.source import SourceFile


def saved(tmp_path, document, name: str = "story.docx") -> SourceFile:
    path = tmp_path / name
    document.save(str(path))
    return SourceFile(path, name)


def file(tmp_path, data: bytes, name: str = "story.docx") -> SourceFile:
    path = tmp_path / name
    path.write_bytes(data)
    return SourceFile(path, name)


def shown(tmp_path, document, findings: Findings | None = None) -> str:
    lines = docx_lines(saved(tmp_path, document), Findings() if findings is None else findings)
    return "\n".join("#" * line.heading + line.text for line in lines).strip("\n")


def append(document, xml: str) -> None:
    """Add an element in front of the section's properties, as Word would."""
    document.element.body.insert(-1, parse_xml(xml.replace(" ", f" {nsdecls('w')} ", 1)))


def data_of(document) -> bytes:
    data = io.BytesIO()
    document.save(data)
    return data.getvalue()


def a_story():
    document = docx.Document()
    document.add_heading("The Lamp", 0)
    document.add_heading("One", 1)
    document.add_paragraph("It was dark.")
    return document


def rewritten(data: bytes, name: str, text: bytes | None) -> bytes:
    """The document with one member replaced, or left out."""
    copy = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(copy, "w") as new:
        for member in old.namelist():
            if member != name:
                new.writestr(member, old.read(member))
        if text is not None:
            new.writestr(name, text, zipfile.ZIP_DEFLATED)
    return copy.getvalue()


# Lines


def test_paragraphs_and_headings_are_lines_in_order(tmp_path):
    document = a_story()
    document.add_heading("Two", 2)
    document.add_paragraph("It was late, “she” said.")
    assert shown(tmp_path, document) == (
        "#The Lamp\n\n#One\n\nIt was dark.\n\n##Two\n\nIt was late, “she” said."
    )


def test_a_style_based_on_a_heading_is_a_heading(tmp_path):
    document = docx.Document()
    style = document.styles.add_style("Kapitel", WD_STYLE_TYPE.PARAGRAPH)
    style.base_style = document.styles["Heading 2"]
    document.add_paragraph("Eins", style="Kapitel")
    document.add_paragraph("Es war dunkel.")
    assert shown(tmp_path, document) == "##Eins\n\nEs war dunkel."


def test_words_that_are_set_in_pieces_stay_whole(tmp_path):
    document = docx.Document()
    paragraph = document.add_paragraph("mid")
    paragraph.add_run("ni").bold = True
    paragraph.add_run("ght rain\u00adfall")
    assert shown(tmp_path, document) == "midnight rainfall"


def test_breaks_inside_a_paragraph_are_line_ends(tmp_path):
    document = docx.Document()
    paragraph = document.add_paragraph("Roses\nViolets")
    paragraph.add_run().add_break(WD_BREAK.PAGE)
    paragraph.add_run("Sugar")
    assert shown(tmp_path, document) == "Roses\nViolets\nSugar"


@pytest.mark.parametrize("mark", ["***", " * * * ", "*****"])
def test_stars_are_a_scene_break(tmp_path, mark):
    document = docx.Document()
    for text in ("a", mark, "b"):
        document.add_paragraph(text)
    assert shown(tmp_path, document) == "a\n\n* * *\n\nb"


def test_tables_stand_where_they_are_and_a_simple_row_is_a_line(tmp_path):
    document = a_story()
    table = document.add_table(2, 2)
    for cell, text in zip(table.rows[0].cells, ("TESSA", "Hello, Bo."), strict=True):
        cell.text = text
    table.rows[1].cells[0].text = "BO"
    table.rows[1].cells[1].text = "One."
    table.rows[1].cells[1].add_paragraph("Two.")
    document.add_paragraph("After.")
    assert shown(tmp_path, document).endswith("TESSA\tHello, Bo.\n\nBO\n\nOne.\n\nTwo.\n\nAfter.")


def test_lists_are_paragraphs_and_empty_paragraphs_are_none(tmp_path):
    document = docx.Document()
    for text in ("one", "", "two"):
        document.add_paragraph(text, style="List Bullet")
    assert shown(tmp_path, document) == "one\n\ntwo"


def test_tracked_changes_are_as_if_accepted(tmp_path):
    document = docx.Document()
    append(
        document,
        "<w:p ><w:r><w:t>She </w:t></w:r><w:del><w:r><w:delText>ran</w:delText><w:t>ran</w:t></w:r>"
        "</w:del><w:ins><w:r><w:t>walked</w:t></w:r></w:ins><w:r><w:t> on.</w:t></w:r></w:p>",
    )
    assert shown(tmp_path, document) == "She walked on."


def test_text_in_content_controls_and_links_is_kept(tmp_path):
    document = docx.Document()
    append(
        document,
        "<w:sdt ><w:sdtContent><w:p><w:hyperlink><w:r><w:t>Here</w:t></w:r></w:hyperlink>"
        "<w:r><w:tab/><w:t>too</w:t></w:r></w:p></w:sdtContent></w:sdt>",
    )
    assert shown(tmp_path, document) == "Here\ttoo"


def test_a_text_box_is_a_paragraph_of_its_own_and_told_once(tmp_path):
    box = "<w:txbxContent><w:p><w:r><w:t>Boxed</w:t></w:r></w:p></w:txbxContent>"
    compatibility = 'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
    document = docx.Document()
    append(
        document,
        f"<w:p {compatibility}><w:r><w:t>Out</w:t></w:r><w:r><mc:AlternateContent><mc:Choice>"
        f"{box}</mc:Choice><mc:Fallback>{box}</mc:Fallback></mc:AlternateContent></w:r>"
        "<w:r><w:t>side</w:t></w:r></w:p>",
    )
    assert shown(tmp_path, document) == "Outside\n\nBoxed"


def test_headers_footers_and_notes_are_left_out(tmp_path):
    document = a_story()
    document.sections[0].header.paragraphs[0].text = "Running head"
    document.sections[0].footer.paragraphs[0].text = "Page 1"
    append(
        document,
        '<w:p ><w:r><w:t>Noted</w:t></w:r><w:r><w:footnoteReference w:id="1"/></w:r></w:p>',
    )
    findings = Findings()
    assert shown(tmp_path, document, findings).endswith("It was dark.\n\nNoted")
    assert findings.notes == ["story.docx: its footnotes and endnotes are left out"]


def test_the_table_of_contents_is_left_out_and_reported(tmp_path):
    document = docx.Document()
    document.styles.add_style("toc 1", WD_STYLE_TYPE.PARAGRAPH)
    document.add_paragraph("One ..... 3", style="toc 1")
    document.add_paragraph("It was dark.")
    findings = Findings()
    assert shown(tmp_path, document, findings) == "It was dark."
    assert [(drop.reason, drop.excerpt) for drop in findings.drops] == [
        ("navigation", "One ..... 3")
    ]


# Files


def test_a_document_becomes_documents(tmp_path):
    source = saved(tmp_path, a_story())
    assert READER.sniff(source)
    text = "".join(document.text for document in READER.read(source, Findings()))
    assert text.startswith("The Lamp")
    assert text.endswith("It was dark.")


@pytest.mark.parametrize(
    ("names", "suffix", "claimed"),
    [
        (["[Content_Types].xml", "word/document.xml"], "zip", True),
        (["word/document.xml"], "docx", True),
        (["[Content_Types].xml", "_rels/.rels"], "docx", True),
        (["[Content_Types].xml", "xl/workbook.xml"], "xlsx", False),
        (["[Content_Types].xml", "ppt/presentation.xml"], "pptx", False),
        (["mimetype", "content.xml"], "odt", False),
        (["word/notes.txt"], "zip", False),
    ],
)
def test_only_word_documents_are_claimed(tmp_path, names, suffix, claimed):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    source = file(tmp_path, data.getvalue(), f"a.{suffix}")
    assert (READER.sniff(source) is not None) == claimed


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("word/document.xml", None, "not a whole Word document"),
        ("word/document.xml", b"", "not a whole Word document"),
        ("word/document.xml", b"<a>" * 50_000, "not a whole Word document"),
        ("word/document.xml", b"<w:document/>", "not a whole Word document"),
        ("word/styles.xml", b"<x/>", "not a whole Word document"),
        ("[Content_Types].xml", None, "not a whole Word document"),
        ("_rels/.rels", b"<x/>", "not a whole Word document"),
        ("word/document.xml", b" " * (16 << 20), "zip bomb"),
        ("word/media/bomb.xml", b"0" * (16 << 20), "zip bomb"),
    ],
)
def test_a_document_that_cannot_be_used_says_why(tmp_path, name, text, says):
    source = file(tmp_path, rewritten(data_of(a_story()), name, text))
    with pytest.raises(Unreadable, match=says):
        docx_lines(source, Findings())


def test_a_document_without_text_says_so(tmp_path):
    with pytest.raises(Unreadable, match="without text"):
        list(READER.read(saved(tmp_path, docx.Document()), Findings()))


def test_entities_are_not_expanded(tmp_path):
    data = data_of(a_story())
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        xml = archive.read("word/document.xml").decode()
    declared = (
        '<!DOCTYPE x [<!ENTITY a "lol"><!ENTITY b "&a;&a;"><!ENTITY c SYSTEM "/etc/passwd">]>'
    )
    start = xml.index("<w:document")
    hostile = declared + xml[start:].replace("It was dark.", "&b;&c;It was dark.")
    source = file(tmp_path, rewritten(data, "word/document.xml", hostile.encode()))
    try:
        found = " ".join(line.text for line in docx_lines(source, Findings()))
    except Unreadable:
        return
    assert "lol" not in found
    assert "root:" not in found


def test_pictures_are_not_unpacked(tmp_path):
    data = rewritten(data_of(a_story()), "word/media/big.png", b"\0" * (16 << 20))
    lines = docx_lines(file(tmp_path, data), Findings())
    assert lines[-2].text == "It was dark."


def test_a_document_cut_anywhere_is_refused(tmp_path):
    whole = data_of(a_story())
    for length in range(1, len(whole) - 1, 1_000):
        with pytest.raises(Unreadable):
            docx_lines(file(tmp_path, whole[:length]), Findings())


STORY = rewritten(data_of(a_story()), "docProps/thumbnail.jpeg", None)


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_a_damaged_document_is_read_or_refused(tmp_path_factory, data):
    with zipfile.ZipFile(io.BytesIO(STORY)) as archive:
        name = data.draw(st.sampled_from(["word/document.xml", "word/styles.xml", "_rels/.rels"]))
        xml = bytearray(archive.read(name))
    for _ in range(data.draw(st.integers(1, 4))):
        xml[data.draw(st.integers(0, len(xml) - 1))] = data.draw(st.integers(0, 255))
    source = file(tmp_path_factory.mktemp("damaged"), rewritten(STORY, name, bytes(xml)))
    with suppress(Unreadable):
        docx_lines(source, Findings())
