"""Accepted entries of the inbox as a training file, in shapes that the corpus compiler reads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from lmft.files.file import File, NewFile
from lmft.files.files import Files
from lmft.library.entry import Entry, EntryKind
from lmft.library.inbox import Inbox
from lmft.library.kinds import LibraryError
from lmft.library.listing import Window
from lmft.library.texts import Messages
from lmft.store.database import Store

Format = Literal["chat", "completion", "preference"]
PURPOSE = "fine-tune"
MAX_ENTRIES = 10_000
# So many are held in memory; one may be as large as a request.
_PAGE = 50


@dataclass(frozen=True)
class Export:
    """Attributes:
    rows: of the file; a vote among three answers gives two preferences.
    entries: that are in it. left: that were accepted and fit no row of this format.
    """

    file: File
    format: Format
    rows: int
    entries: int
    left: int


def export(
    store: Store, project: int, format: Format, filename: str, kind: EntryKind | None = None
) -> Export:
    """Make a file of the entries that are accepted, oldest first, and mark them exported.

    The file is there before they are marked: what goes wrong between the two loses nothing.

    Raises:
        LibraryError: there is nothing to export.
        QuotaError, DiskFullError, StoreError: there is no room for the file.
    """
    inbox = Inbox(store)
    taken: list[int] = []
    n_rows = n_left = 0

    def lines() -> Iterator[bytes]:
        nonlocal n_rows, n_left
        for entry in _accepted(inbox, project, kind):
            if made := rows(entry, format):
                taken.append(entry.number)
            else:
                n_left += 1
            n_rows += len(made)
            for row in made:
                yield (json.dumps(row, ensure_ascii=False) + "\n").encode()
        if not taken:
            raise LibraryError(
                f"No accepted entry of the inbox gives a row of the format {format}.",
                "Accept some: PATCH /v1/lmft/inbox/ENTRY with the status accepted.",
            )

    file = Files(store).create(lines(), NewFile(project, PURPOSE, filename))
    inbox.exported(taken, file.id)
    return Export(file, format, n_rows, len(taken), n_left)


def rows(entry: Entry, format: Format) -> list[dict[str, Any]]:
    """What an entry gives; empty where it lacks what the format needs."""
    context = [message for message in entry.context if message["content"].strip()]
    if not entry.chosen.strip():
        return []
    if format == "chat":
        return [{"messages": [*context, *_said(entry.chosen)]}]
    if not context:
        return []
    if format == "completion":
        prompt = "\n\n".join(message["content"] for message in context)
        return [{"prompt": prompt, "completion": entry.chosen}]
    return [
        {"prompt": context, "chosen": _said(entry.chosen), "rejected": _said(worse)}
        for worse in entry.rejected
        if worse.strip() and worse.strip() != entry.chosen.strip()
    ]


def _said(text: str) -> Messages:
    return [{"role": "assistant", "content": text}]


def _accepted(inbox: Inbox, project: int, kind: EntryKind | None) -> Iterator[Entry]:
    window = Window(limit=_PAGE, newest_first=False)
    for _ in range(MAX_ENTRIES // _PAGE):
        page = inbox.list(project, window, status="accepted", kind=kind)
        yield from page.items
        if not page.has_more:
            break
        window = Window(page.items[-1].id, _PAGE, newest_first=False)
