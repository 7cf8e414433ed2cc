"""The training inbox: every gold edit and every vote for an answer, and what was decided about it.

An entry is pending until somebody accepts or dismisses it; an accepted one is exported by being
written into a training file (lmft.library.training).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Literal

from sqlalchemy import Connection, delete, insert, select, update

from lmft.library.entry import Entry, EntryKind, Status, entry_query, read_entries
from lmft.library.kinds import ENTRY, LibraryError
from lmft.library.listing import Page, Window, read_page
from lmft.store.database import Store
from lmft.store.library_tables import inbox, votes

# Of the values that one statement may have.
_AT_ONCE = 1_000


class Inbox:
    """The inbox of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, project: int, id: str) -> Entry:
        """Raises MissingError."""
        with self._store.reading() as connection:
            return _find(connection, project, id)

    def list(
        self,
        project: int,
        window: Window,
        *,
        status: Status | None = None,
        kind: EntryKind | None = None,
    ) -> Page[Entry]:
        """Raises MissingError: no entry `after`."""
        query = entry_query()
        if status is not None:
            query = query.where(inbox.c.status == status)
        if kind is not None:
            query = query.where(inbox.c.kind == kind)
        mine = inbox.c.project == project
        with self._store.reading() as connection:
            page = read_page(connection, query, window, ENTRY, [inbox.c.number], mine)
            return Page(read_entries(connection, page.items), page.has_more)

    def decide(
        self, project: int, id: str, status: Literal["pending", "accepted", "dismissed"]
    ) -> Entry:
        """An exported entry that is accepted again is exported again.

        Raises:
            MissingError. LibraryError: it is of a vote that was changed since.
        """
        with self._store.writing() as connection:
            entry = _find(connection, project, id)
            if entry.kind == "vote" and status != "dismissed":
                _require_newest(connection, entry)
            _mark(connection, [entry.number], status=status, file=None)
            return _find(connection, project, id)

    def exported(self, numbers: Sequence[int], file: str) -> None:
        """Note that the entries of these numbers are in the file of that id, those that are still
        accepted."""
        with self._store.writing() as connection:
            for start in range(0, len(numbers), _AT_ONCE):
                some = numbers[start : start + _AT_ONCE]
                _mark(connection, some, "accepted", status="exported", file=file)


def add_entry(
    connection: Connection, project: int, *, edit: int | None = None, vote: int | None = None
) -> None:
    """A pending one, of the edit or the vote with that number."""
    now = int(time.time())
    row = {
        "id": ENTRY.mint(),
        "project": project,
        "kind": "vote" if edit is None else "edit",
        "edit": edit,
        "vote": vote,
        "status": "pending",
        "created_at": now,
        "changed_at": now,
    }
    connection.execute(insert(inbox).values(row))


def dismiss_votes(connection: Connection, comparison: int, voter: str) -> None:
    """A voter votes again: what the votes before would have trained is not to be trained."""
    before = select(inbox.c.number).where(
        inbox.c.vote == votes.c.number,
        votes.c.comparison == comparison,
        votes.c.voter == voter,
        inbox.c.status.in_(("pending", "accepted")),
    )
    _mark(connection, connection.scalars(before).all(), status="dismissed", file=None)


def forget_edit(connection: Connection, edit: int) -> None:
    connection.execute(delete(inbox).where(inbox.c.edit == edit))


def _mark(
    connection: Connection, numbers: Sequence[int], only: Status | None = None, **values: Any
) -> None:
    change = update(inbox).where(inbox.c.number.in_(numbers))
    if only is not None:
        change = change.where(inbox.c.status == only)
    connection.execute(change.values(changed_at=int(time.time()), **values))


def _require_newest(connection: Connection, entry: Entry) -> None:
    given = votes.alias("given")
    later = select(votes.c.id).where(
        given.c.id == entry.vote,
        votes.c.comparison == given.c.comparison,
        votes.c.voter == given.c.voter,
        votes.c.number > given.c.number,
    )
    newer = connection.scalar(later.order_by(votes.c.number.desc()).limit(1))
    if newer is not None:
        raise LibraryError(
            f"Entry {entry.id} is of a vote that was changed since.",
            f"Decide about the entry of {newer} instead, if that names an answer.",
        )


def _find(connection: Connection, project: int, id: str) -> Entry:
    query = entry_query().where(inbox.c.id == ENTRY.checked(id), inbox.c.project == project)
    found = read_entries(connection, connection.execute(query).all())
    if not found:
        raise ENTRY.missing(id)
    return found[0]
