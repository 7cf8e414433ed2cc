"""Training rows in JSON: an object a line, one array of objects, or one object over many lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from lmft.corpus.decode import Unreadable
from lmft.corpus.documents import Document
from lmft.corpus.findings import Findings
from lmft.corpus.magic import binary_kind
from lmft.corpus.readers.reader import Reader
from lmft.corpus.readers.rows.fault import RowFault
from lmft.corpus.readers.rows.json_scan import elements, first_keys, is_closed
from lmft.corpus.readers.rows.shapes import SHAPES, Rows, recognise
from lmft.corpus.readers.rows.strict_json import JsonFault, parse
from lmft.corpus.source import SourceFile

_SUFFIXES = (".jsonl", ".ndjson")
_WHOLE_SUFFIX = ".json"
# The keys of a shape that say something alone: a row longer than the head shows only its first.
_TELLING = tuple(
    dict.fromkeys(key for shape in SHAPES for key in shape.needed if key not in ("input", "output"))
)
# What other readers' formats begin with, though they may have `messages` or `text` too.
_FOREIGN = (
    {"guild", "messages"},
    {"inkVersion"},
    {"user_name", "character_name"},
    {"name", "mes"},
    {"tree_id"},
    {"action_results"},
)


class _Row(NamedTuple):
    """`place` is in front of a fault where the line alone does not tell the row."""

    line: int
    text: str
    place: str = ""


def sniff(source: SourceFile) -> str | None:
    head = source.head_text.lstrip()
    first_line, line_end, _ = head.partition("\n")
    is_object = _is_object(source)
    keys = first_keys(head if is_object or head.startswith("[") else first_line)
    if any(foreign.issubset(keys) for foreign in _FOREIGN):
        return None
    telling = ", ".join(f"`{key}`" for key in _TELLING if key in keys)
    if head.startswith("[") and telling:
        return f"a JSON array of rows with {telling}"
    if is_object:
        # Of an object that goes on beyond the head not all keys are known yet.
        known = recognise(keys) or not is_closed(head)
        return f"one JSON row with {telling}" if telling and known else None
    if source.suffix in _SUFFIXES and not binary_kind(source.head):
        return f"JSON rows with {telling}" if telling else f"named {source.suffix}"
    whole = not line_end or first_line.rstrip().endswith("}")
    return f"JSON rows with {telling}" if telling and whole else None


def read(source: SourceFile, findings: Findings) -> Iterator[Document]:
    """Raises Unreadable for a file that is no text or has no rows."""
    if source.encoding.note:
        findings.note(f"{source.name}: {source.encoding.note}")
    rows = Rows(source.name, findings)
    found = False
    for row in _rows(source, findings):
        found = True
        try:
            yield from rows.documents(parse(row.text), row.line)
        except JsonFault as fault:
            line = row.line + (fault.line or 1) - 1
            findings.fault(source.name, f"{row.place}{fault}", line=line)
        except RowFault as fault:
            findings.fault(source.name, f"{row.place}{fault}", line=row.line)
    if not found:
        raise Unreadable("holds no rows; give one JSON object a line")
    rows.close()


def _rows(source: SourceFile, findings: Findings) -> Iterator[_Row]:
    if _is_array(source):
        return _array(source, findings)
    return _object(source) if _is_object(source) else _lines(source)


def _is_array(source: SourceFile) -> bool:
    head = source.head_text.lstrip()
    if not head.startswith("["):
        return False
    # A line of a .jsonl file may be a list by mistake: then it is one bad row among others.
    return source.suffix not in _SUFFIXES or any(key in _TELLING for key in first_keys(head))


def _is_object(source: SourceFile) -> bool:
    """One object, spread over lines for people to read."""
    head = source.head_text.lstrip()
    first_line, line_end, _ = head.partition("\n")
    return (
        source.suffix == _WHOLE_SUFFIX
        and head.startswith("{")
        and bool(line_end)
        and not is_closed(first_line)
    )


def _lines(source: SourceFile) -> Iterator[_Row]:
    for number, line in enumerate(source.lines(), 1):
        if line.strip():
            yield _Row(number, line)


def _object(source: SourceFile) -> Iterator[_Row]:
    text = _whole(source)
    row = text.lstrip()
    yield _Row(1 + text.count("\n", 0, len(text) - len(row)), row)


def _array(source: SourceFile, findings: Findings) -> Iterator[_Row]:
    try:
        for number, line, element in elements(_whole(source)):
            yield _Row(line, element, f"row {number}: ")
    except JsonFault as fault:
        findings.fault(source.name, str(fault), line=fault.line)


def _whole(source: SourceFile) -> str:
    # Not `source.text()`: an export in one line may be longer than a line of prose ever is.
    try:
        return source.data().decode(source.encoding.label)
    except UnicodeDecodeError as error:
        raise Unreadable(
            f"a byte that {source.encoding.label} does not have; save the file as UTF-8",
            byte=error.start,
        ) from error


READER = Reader("JSON rows", sniff, read)
