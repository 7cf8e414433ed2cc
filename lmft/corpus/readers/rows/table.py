"""CSV and TSV tables whose first row names columns that lmft knows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import NamedTuple

from lmft.corpus.decode import Unreadable
from lmft.corpus.documents import Document
from lmft.corpus.findings import Findings
from lmft.corpus.magic import binary_kind
from lmft.corpus.readers.reader import Reader
from lmft.corpus.readers.rows.csv_rows import CsvRow, csv_rows
from lmft.corpus.readers.rows.shapes import (
    ALPACA,
    PLAIN_TEXT,
    PREFERENCE,
    PROMPT_COMPLETION,
    Shape,
    shown_keys,
)
from lmft.corpus.readers.rows.table_documents import Record, from_rows, from_script, from_turns
from lmft.corpus.source import SourceFile

_SUFFIXES = (".csv", ".tsv", ".tab")
_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab"}


class _Layout(NamedTuple):
    """Attributes:
    needed: columns, each with the names that it may have, the first one ours.
    may_be_empty: those whose cells need not be filled, of all columns.
    """

    needed: tuple[tuple[str, ...], ...]
    optional: tuple[str, ...]
    may_be_empty: tuple[str, ...]
    documents: Callable[[Iterable[Record], str, Findings], Iterator[Document]]

    def __str__(self) -> str:
        return ", ".join("|".join(names) for names in self.needed)


def _of_shape(shape: Shape, *optional: str) -> _Layout:
    return _Layout(tuple((key,) for key in shape.needed), optional, optional, from_rows)


# The first one that has all its columns is taken: those with more to ask come first.
_LAYOUTS = (
    _Layout((("conversation_id",), ("role",), ("content",)), (), (), from_turns),
    _Layout(
        # `line` last: beside a column `text` it is a number.
        (("speaker", "character", "name"), ("text", "dialogue", "line")),
        ("scene",),
        ("speaker", "scene"),
        from_script,
    ),
    _of_shape(PREFERENCE),
    _of_shape(PROMPT_COMPLETION),
    _of_shape(ALPACA, "input", "system"),
    _of_shape(PLAIN_TEXT),
)
_KNOWN = "; ".join(str(layout) for layout in _LAYOUTS)


class _Columns(NamedTuple):
    """A header understood: which column of the file is which of the layout's."""

    layout: _Layout
    header: tuple[str, ...]
    places: dict[str, int]


def sniff(source: SourceFile) -> str | None:
    delimiter, columns = _guess(source)
    if columns is None:
        named = source.suffix in _SUFFIXES and not binary_kind(source.head)
        return f"named {source.suffix}" if named else None
    reason = f"a {_DELIMITERS[delimiter]}-separated table of {', '.join(columns.places)}"
    if source.suffix in _SUFFIXES:
        return reason
    # Without a name that says so, one line of prose must not make a table.
    rows = list(islice(csv_rows(_head_lines(source), delimiter), 2))
    even = len(rows) == 2 and len(rows[0].cells) == len(rows[1].cells) >= 2
    return reason if even else None


def read(source: SourceFile, findings: Findings) -> Iterator[Document]:
    """Raises Unreadable for a file that is no text, has no known columns, or only a header."""
    if source.encoding.note:
        findings.note(f"{source.name}: {source.encoding.note}")
    delimiter, _ = _guess(source)
    rows = csv_rows(source.lines(), delimiter)
    columns = _header(next(rows, None))
    used = {columns.header[at] for at in columns.places.values()}
    if ignored := {name or "(no name)" for name in columns.header if name not in used}:
        findings.note(f"{source.name}: columns ignored: {shown_keys(ignored)}")
    first = next(rows, None)
    if first is None:
        raise Unreadable("holds a header and no rows")
    records = (_record(row, columns) for row in chain((first,), rows))
    yield from columns.layout.documents(records, source.name, findings)


def _guess(source: SourceFile) -> tuple[str, _Columns | None]:
    """The delimiter under which the first row names known columns; else the usual one."""
    delimiters = list(_DELIMITERS)
    if source.suffix in (".tsv", ".tab"):
        delimiters.reverse()
    for delimiter in delimiters:
        header = next(csv_rows(_head_lines(source), delimiter), None)
        if header and (columns := _columns(header.cells)):
            return delimiter, columns
    return delimiters[0], None


def _head_lines(source: SourceFile) -> list[str]:
    # Not splitlines(): form feeds and the like are no line ends for read_lines either.
    return source.head_text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _header(row: CsvRow | None) -> _Columns:
    if row is None:
        raise Unreadable("holds no rows")
    if row.wrong:
        raise Unreadable(f"the header cannot be read: {row.wrong}", line=row.line)
    columns = _columns(row.cells)
    if columns is None:
        raise Unreadable(
            f"the first row ({shown_keys(row.cells)}) does not name columns that lmft knows; "
            f"known: {_KNOWN}",
            line=row.line,
        )
    for at in columns.places.values():
        if columns.header.count(columns.header[at]) > 1:
            raise Unreadable(f"the column {columns.header[at]} occurs twice", line=row.line)
    return columns


def _columns(header: list[str]) -> _Columns | None:
    names = tuple(name.strip().lower() for name in header)
    for layout in _LAYOUTS:
        places: dict[str, int] = {}
        for alternatives in (*layout.needed, *((name,) for name in layout.optional)):
            if found := next((name for name in alternatives if name in names), None):
                places[alternatives[0]] = names.index(found)
        if all(alternatives[0] in places for alternatives in layout.needed):
            return _Columns(layout, names, places)
    return None


def _record(row: CsvRow, columns: _Columns) -> Record:
    cells = {name: row.cells[at] for name, at in columns.places.items() if at < len(row.cells)}
    wrong = row.wrong
    if not wrong and len(row.cells) != len(columns.header):
        wrong = f"expected {len(columns.header)} cells, has {len(row.cells)}"
    for name, text in cells.items():
        if not wrong and not text.strip() and name not in columns.layout.may_be_empty:
            wrong = f"the cell of column {columns.header[columns.places[name]]} is empty"
    return Record(row.line, cells, wrong)


READER = Reader("table", sniff, read)
