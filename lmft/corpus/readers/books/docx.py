"""Word documents (DOCX): paragraphs and table cells in order, headings by their styles.

Left out are headers and footers, notes, deleted text of tracked changes, the table of contents.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from typing import Any

import docx
from docx.document import Document as WordDocument
from docx.oxml.ns import qn

from lmft.corpus.decode import Unreadable
from lmft.corpus.documents import Document
from lmft.corpus.findings import Findings
from lmft.corpus.prose.line import Line
from lmft.corpus.prose.story import story_documents
from lmft.corpus.readers.books.archive import member_names, open_zip
from lmft.corpus.readers.reader import Reader
from lmft.corpus.source import SourceFile

_MAIN = "word/document.xml"
_TYPES = "[Content_Types].xml"
_HEADING_STYLE = re.compile(r"heading ([1-9])\Z", re.IGNORECASE)
_CONTENTS_STYLE = re.compile(r"toc (?:\d|heading)", re.IGNORECASE)
_SCENE_BREAK = re.compile(r"\s*\*\s*\*\s*\*[\s*]*\Z")
_DEEPEST_STYLE = 10

_PARAGRAPH, _TABLE, _ROW, _CELL = qn("w:p"), qn("w:tbl"), qn("w:tr"), qn("w:tc")
_TEXT, _FOOTNOTE, _ENDNOTE = qn("w:t"), qn("w:footnoteReference"), qn("w:endnoteReference")
_TEXT_BOX = qn("w:txbxContent")
_MARKS = {
    **{qn("w:tab"): "\t", qn("w:br"): "\n", qn("w:cr"): "\n"},
    qn("w:noBreakHyphen"): "-",
}
# Deleted or moved away, properties (which hold tab stops), readings over characters, and the
# copy of a text box for old versions of Word.
_SILENT = frozenset(
    (
        *(qn("w:del"), qn("w:moveFrom"), qn("w:pPr"), qn("w:rPr"), qn("w:rt")),
        "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback",
    )
)


def sniff(source: SourceFile) -> str | None:
    names = member_names(source.head)
    if _MAIN in names or (_TYPES in names and any(name.startswith("word/") for name in names)):
        return "a zip archive with a Word document in it"
    if _TYPES in names and source.suffix == ".docx":
        return "an Office archive, and its name ends in .docx"
    return None


def read(source: SourceFile, findings: Findings) -> Iterator[Document]:
    """Raises Unreadable for a damaged document, or one without text."""
    lines = docx_lines(source, findings)
    if not lines:
        raise Unreadable("a document without text")
    yield from story_documents(source.name, [lines], findings, wrapped=False)


def docx_lines(source: SourceFile, findings: Findings) -> list[Line]:
    """The lines of the document, numbered by paragraph. Raises Unreadable."""
    file = _plain_copy(source)
    try:
        return _lines(docx.Document(file), source.name, findings)
    except Exception as error:
        # python-docx trusts what it reads; a hostile document can make it raise anything.
        raise Unreadable("not a whole Word document; save it again as .docx") from error


def _plain_copy(source: SourceFile) -> io.BytesIO:
    """The document without pictures, not packed: python-docx would inflate a bomb whole."""
    copy = io.BytesIO()
    with open_zip(source) as archive, zipfile.ZipFile(copy, "w") as plain:
        for name in archive.names:
            is_text = name.endswith((".xml", ".rels"))
            plain.writestr(name, archive.read(name) if is_text else b"")
    copy.seek(0)
    return copy


def _lines(document: WordDocument, name: str, findings: Findings) -> list[Line]:
    styles = _styles(document)
    lines: list[Line] = []
    for number, block in enumerate(_blocks(document.element.body), 1):
        heading, is_contents = styles.get(_style_of(block), (0, False))
        text = _row_text(block) if block.tag == _ROW else _text(block)
        if is_contents:
            findings.drop(name, "navigation", text, number, number)
        elif heading:
            lines += [Line(number, " ".join(text.split()), heading), Line(number, "")]
        elif _SCENE_BREAK.match(text):
            lines += [Line(number, "* * *"), Line(number, "")]
        elif text.strip():
            lines += [Line(number, part.strip()) for part in text.strip().split("\n")]
            lines.append(Line(number, ""))
        if block.find(f".//{_FOOTNOTE}") is not None or block.find(f".//{_ENDNOTE}") is not None:
            findings.note(f"{name}: its footnotes and endnotes are left out")
    return lines


def _styles(document: WordDocument) -> dict[str, tuple[int, bool]]:
    """For a style's id: the level of heading that it is, and whether it is the contents'."""
    found: dict[str, tuple[int, bool]] = {}
    for style in document.styles:
        based: Any = style
        for _ in range(_DEEPEST_STYLE):
            name = str(based.name or "") if based is not None else ""
            if heading := _HEADING_STYLE.match(name):
                found[style.style_id] = (min(int(heading.group(1)), 6), False)
            elif name == "Title":
                found[style.style_id] = (1, False)
            elif _CONTENTS_STYLE.match(name):
                found[style.style_id] = (0, True)
            else:
                based = getattr(based, "base_style", None)
                continue
            break
    return found


def _style_of(block: Any) -> str:
    style = block.find(f"{qn('w:pPr')}/{qn('w:pStyle')}")
    return "" if style is None else str(style.get(qn("w:val"), ""))


def _blocks(element: Any) -> Iterator[Any]:
    """Paragraphs and simple table rows in order. Depth is bounded: libxml2 allows 256."""
    for child in element:
        if child.tag in _SILENT:
            continue
        if child.tag == _PARAGRAPH or (child.tag == _ROW and _is_line(child)):
            yield child
            for box in child.iter(_TEXT_BOX):
                if not any(parent.tag in _SILENT for parent in box.iterancestors()):
                    yield from _blocks(box)
        else:
            yield from _blocks(child)


def _is_line(row: Any) -> bool:
    """Whether each cell holds a paragraph at most: `NAME | what she says`."""
    cells = row.findall(_CELL)
    return all(len(cell.findall(_PARAGRAPH)) <= 1 and cell.find(_TABLE) is None for cell in cells)


def _row_text(row: Any) -> str:
    cells = (" ".join(_text(cell).split()) for cell in row.findall(_CELL))
    return "\t".join(cell for cell in cells if cell)


def _text(element: Any) -> str:
    return "".join(_pieces(element))


def _pieces(element: Any) -> Iterator[str]:
    for child in element:
        if child.tag == _TEXT:
            yield (child.text or "").replace("\u00ad", "")
        elif child.tag in _MARKS:
            yield _MARKS[child.tag]
        elif child.tag not in _SILENT and child.tag != _TEXT_BOX:
            yield from _pieces(child)


READER = Reader("Word document", sniff, read)
