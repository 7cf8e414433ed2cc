"""The rows of a CSV file, streamed, each with the line where it begins."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from lmft.corpus.decode import MAX_LINE_CHARACTERS


class CsvRow(NamedTuple):
    """Attributes:
    line: in the file, from 1; a quoted cell may hold line ends, so rows do not count lines.
    wrong: why it could not be taken apart; `cells` is empty then.
    """

    line: int
    cells: list[str]
    wrong: str = ""


def csv_rows(lines: Iterable[str], delimiter: str) -> Iterator[CsvRow]:
    """`lines` are without their ends. Rows of nothing but empty cells are left out."""
    # The module's limit for the whole process, 128 KB unless raised, is for a chapter too small.
    # It is only ever raised, to what a line may have: a quote that is never closed stops there.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_LINE_CHARACTERS))
    reader = csv.reader((f"{line}\n" for line in lines), delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield CsvRow(line, [], _reason(str(error)))
            continue
        if any(cell.strip() for cell in cells):
            yield CsvRow(line, cells)


def _reason(error: str) -> str:
    if "end of data" in error:
        return "a quote opened in this row is never closed; all after it is lost"
    if "larger than field limit" in error:
        return f"a cell of more than {MAX_LINE_CHARACTERS >> 20} million characters"
    if "expected after" in error:
        return 'text after a closing quote; write a quote inside a quoted cell as ""'
    return f"not CSV: {error}"
