"""The text of a row, cleaned up as that of a text file is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lmft.corpus.documents import Document
from lmft.corpus.findings import Findings
from lmft.corpus.prose.line import Line
from lmft.corpus.prose.story import story_documents
from lmft.corpus.readers.rows.fault import RowFault


def cleaned(row: Document, name: str, line: int, findings: Findings) -> Sequence[Document]:
    """The documents of a row that is a story; one of a single line is taken as it is.

    Raises:
        RowFault: nothing of it is left.
    """
    text = row.text.rstrip()
    if "\n" not in text and "\r" not in text:
        return (row,)
    # A row has one line in the file, and what is left out of it is left out there.
    lines = [Line(line, one) for one in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    parts = story_documents(name, [lines], findings, wrapped=None)
    documents = [replace(part, source=row.source) for part in parts]
    if not documents:
        raise RowFault("its text holds only white space or what was dropped")
    return documents
