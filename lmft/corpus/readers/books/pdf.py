"""PDF documents: the text of their pages, where they have text."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pypdf

from lmft.corpus.decode import Unreadable
from lmft.corpus.documents import Document
from lmft.corpus.findings import Findings
from lmft.corpus.prose.line import Line
from lmft.corpus.prose.story import story_documents
from lmft.corpus.readers.books.print_pages import printed_lines
from lmft.corpus.readers.reader import Reader
from lmft.corpus.source import SourceFile

MAX_PAGES = 5_000
MAX_CHARACTERS = 50_000_000
_MAGIC = b"%PDF-"
_LIGATURES = str.maketrans(
    {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"}
)

# What pypdf thinks of a file's small faults is no help to the person who has it.
logging.getLogger("pypdf").setLevel(logging.CRITICAL)


def sniff(source: SourceFile) -> str | None:
    return "begins as PDF files do" if source.head.lstrip().startswith(_MAGIC) else None


def read(source: SourceFile, findings: Findings) -> Iterator[Document]:
    """Raises Unreadable for a damaged or protected document, or one of pictures only."""
    lines = pdf_lines(source, findings)
    yield from story_documents(source.name, [lines], findings, wrapped=True)


def pdf_lines(source: SourceFile, findings: Findings) -> list[Line]:
    """The lines of all pages, each numbered by its page. Raises Unreadable."""
    pages = _pages(source.name, _open(source.data()), findings)
    n_empty = sum(1 for page in pages if not any(line.strip() for line in page))
    if n_empty == len(pages):
        raise Unreadable("pictures of pages, no text; run OCR first")
    if n_empty:
        findings.note(
            f"{source.name}: {n_empty} of {len(pages)} pages have no text; "
            "if they are pictures of text, run OCR first"
        )
    return printed_lines(source.name, pages, findings)


def _open(data: bytes) -> pypdf.PdfReader:
    try:
        reader = pypdf.PdfReader(io.BytesIO(data))
        locked = reader.is_encrypted and not reader.decrypt("")
        n_pages = 0 if locked else len(reader.pages)
    except Exception as error:
        # pypdf trusts what it reads; a damaged file can make it raise anything.
        raise Unreadable("a damaged PDF; print it to a new one or download it again") from error
    if locked:
        raise Unreadable("protected by a password; save it without one")
    if n_pages > MAX_PAGES:
        raise Unreadable(f"more than {MAX_PAGES} pages; split it")
    return reader


def _pages(name: str, reader: pypdf.PdfReader, findings: Findings) -> list[list[str]]:
    pages: list[list[str]] = []
    size = 0
    for number in range(1, len(reader.pages) + 1):
        try:
            text = reader.pages[number - 1].extract_text()
        except Exception as error:
            findings.fault(name, f"damaged ({type(error).__name__}); left out", line=number)
            text = ""
        size += len(text)
        if size > MAX_CHARACTERS:
            raise Unreadable(
                f"more than {MAX_CHARACTERS // 1_000_000} million characters; split it"
            )
        pages.append(text.translate(_LIGATURES).splitlines())
    return pages


READER = Reader("PDF document", sniff, read)
