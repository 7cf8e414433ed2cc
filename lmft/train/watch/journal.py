"""Rows as JSON lines, written as they come: whatever kills the run, they are there."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lmft import paths

Row = dict[str, Any]


class Journal:
    """A file of rows, each with the `step` that it belongs to.

    Attributes:
        rows: all of them, those of earlier attempts at the run too.
    """

    def __init__(self, file: Path, resumed_at: int | None, *, writes: bool = True) -> None:
        """Go on with `file`, without its rows beyond step `resumed_at`; None begins it anew.

        Args:
            writes: False in all but one of the processes that train together.
        """
        self.rows: list[Row] = [] if resumed_at is None else list(_read(file, resumed_at))
        self._file = None
        if writes:
            _replace(file, "".join(map(_line, self.rows)))
            self._file = file.open("a", encoding="utf-8")

    def add(self, row: Row) -> None:
        """Append a row and hand it to the system at once."""
        self.rows.append(row)
        if self._file is not None:
            self._file.write(_line(row))
            self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def _line(row: Row) -> str:
    return json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"


def _read(file: Path, until_step: int) -> Iterator[Row]:
    if not file.exists():
        return
    with file.open("rb") as lines:
        for line in lines:
            # A run that was killed may have left half of its last line.
            if not line.endswith(b"\n"):
                return
            row = json.loads(line)
            if row["step"] <= until_step:
                yield row


def _replace(file: Path, text: str) -> None:
    made = file.with_name(f".{file.name}")
    made.write_text(text, encoding="utf-8")
    paths.fsync(made)
    os.replace(made, file)
