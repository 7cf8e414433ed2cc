"""Rows of known shapes, from JSON or a table: which shape, and is it the same all through?"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lmft.corpus.documents import Document
from lmft.corpus.findings import Findings
from lmft.corpus.readers.rows import documents as row_documents
from lmft.corpus.readers.rows.fault import RowFault, json_kind
from lmft.corpus.readers.rows.row_story import cleaned
from lmft.corpus.readers.rows.strict_json import shown_key

_MAX_KEYS_SHOWN = 5


@dataclass(frozen=True)
class Shape:
    """Attributes:
    needed: the keys that a row is known by.
    optional: what else of it is used.
    document: a row and the name of its place to a document; raises RowFault.
    """

    name: str
    needed: tuple[str, ...]
    optional: tuple[str, ...]
    document: Callable[[Mapping[str, Any], str], Document]

    def __str__(self) -> str:
        return f"{self.name} ({', '.join(self.needed)})"


PREFERENCE = Shape("preference", ("prompt", "chosen", "rejected"), (), row_documents.preference)
PROMPT_COMPLETION = Shape(
    "prompt/completion", ("prompt", "completion"), (), row_documents.prompt_completion
)
ALPACA = Shape(
    "Alpaca", ("instruction", "output"), ("input", "system", "history"), row_documents.alpaca
)
PLAIN_TEXT = Shape("plain text", ("text",), (), row_documents.plain_text)
# A row may have the keys of several shapes: the first in this order is what it was made for.
SHAPES = (
    Shape(
        "OpenAI preference",
        ("input", "preferred_output", "non_preferred_output"),
        (),
        row_documents.openai_preference,
    ),
    PREFERENCE,
    Shape("OpenAI chat", ("messages",), ("tools",), row_documents.openai_chat),
    Shape("ShareGPT", ("conversations",), ("system", "tools"), row_documents.sharegpt),
    Shape("ShareGPT", ("conversation",), ("system", "tools"), row_documents.sharegpt),
    PROMPT_COMPLETION,
    ALPACA,
    PLAIN_TEXT,
)
KNOWN_SHAPES = "; ".join(str(shape) for shape in SHAPES)


def recognise(keys: Collection[str]) -> Shape | None:
    """The shape of a row with these keys."""
    return next((shape for shape in SHAPES if all(map(keys.__contains__, shape.needed))), None)


def shown_keys(keys: Collection[str]) -> str:
    """Some keys for a message: sorted, the first few of them."""
    shown = ", ".join(shown_key(key) for key in sorted(keys)[:_MAX_KEYS_SHOWN])
    return f"{shown}, ..." if len(keys) > _MAX_KEYS_SHOWN else shown


class Rows:
    """The rows of one file, all of the shape of the first that has one."""

    def __init__(self, name: str, findings: Findings) -> None:
        self._name, self._findings = name, findings
        self._shape: Shape | None = None
        self._ignored: set[str] = set()

    def documents(self, row: Any, line: int) -> Sequence[Document]:
        """One, or the parts of a long text. Raises RowFault."""
        if not isinstance(row, dict):
            raise RowFault(f"is {json_kind(row)}; give an object, one of: {KNOWN_SHAPES}")
        shape = recognise(row)
        if shape is None:
            has = f"keys {shown_keys(row)}" if row else "no keys"
            raise RowFault(f"has {has}, which is no known shape; known: {KNOWN_SHAPES}")
        if self._shape is None:
            self._shape = shape
        if shape.name != self._shape.name:
            raise RowFault(
                f"is {shape}, but the file began with {self._shape}; put it in a file of its own"
            )
        # Bounded: every row of a hostile file may have a key of its own.
        if len(self._ignored) <= _MAX_KEYS_SHOWN:
            self._ignored.update(row.keys() - {*shape.needed, *shape.optional})
        document = shape.document(row, f"{self._name}:{line}")
        if document.text:
            return cleaned(document, self._name, line, self._findings)
        return (document,)

    def close(self) -> None:
        """Say what was ignored."""
        if self._ignored:
            self._findings.note(f"{self._name}: keys ignored: {shown_keys(self._ignored)}")
