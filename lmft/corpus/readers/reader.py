"""What a reader is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lmft.corpus.documents import Document
from lmft.corpus.findings import Findings
from lmft.corpus.source import SourceFile


@dataclass(frozen=True)
class Reader:
    """Attributes:
    name: as shown in the report (`Discord log`).
    sniff: why the file is of this format, in a few words (`has DiscordChatExporter's keys`),
        or None. Looks at `head`, `head_text` and `suffix` only, and never raises.
    read: its documents, in order. May raise lmft.corpus.decode.Unreadable.
    """

    name: str
    sniff: Callable[[SourceFile], str | None]
    read: Callable[[SourceFile, Findings], Iterator[Document]]
