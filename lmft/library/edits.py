"""Gold edits: what a model wrote, and how it should have been. Each goes into the inbox."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, insert, select, update

from lmft.library.inbox import add_entry, forget_edit
from lmft.library.kinds import EDIT, LibraryError
from lmft.library.listing import Page, Window, read_page
from lmft.library.once import Asked, once
from lmft.library.story import find_story, turn_number
from lmft.library.texts import Messages, as_messages
from lmft.library.walking import turns_to
from lmft.store.database import Store
from lmft.store.library_tables import edits, stories, turns


@dataclass(frozen=True)
class NewEdit:
    """
    Attributes:
        context: messages before the text.
        story, turn: ids of where it was written, if it was in a story; the rest is read there.
    """

    edited: str
    original: str = ""
    context: Messages | None = None
    model: str | None = None
    adapter: str | None = None
    story: str | None = None
    turn: str | None = None


@dataclass(frozen=True)
class Edit:
    """Attributes: story, turn: ids; None of a free one, and once the story is purged."""

    number: int
    id: str
    story: str | None
    turn: str | None
    context: Messages
    original: str
    edited: str
    model: str | None
    adapter: str | None
    created_at: int


class Edits:
    """The gold edits of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def create(self, project: int, new: NewEdit, asked: Asked | None = None) -> Edit:
        """Raises:
        MissingError: no such story or turn. LibraryError: nothing was changed, or it is the
            player's own text.
        """

        def make() -> str:
            row = _free(new) if new.story is None else _of_turn(connection, project, new)
            if row["original"].strip() == new.edited.strip():
                raise LibraryError(
                    "The edited text is the original.", "Send in `edited` how it should have been."
                )
            id = EDIT.mint()
            row |= {"id": id, "project": project, "edited": new.edited}
            made = insert(edits).values(created_at=int(time.time()), **row)
            number = connection.execute(made.returning(edits.c.number)).scalar_one()
            add_entry(connection, project, edit=number)
            return id

        with self._store.writing() as connection:
            return _find(connection, project, once(connection, project, asked, make))

    def get(self, project: int, id: str) -> Edit:
        """Raises MissingError."""
        with self._store.reading() as connection:
            return _find(connection, project, id)

    def list(self, project: int, window: Window) -> Page[Edit]:
        """Raises MissingError: no edit `after`."""
        query = _edits().where(edits.c.deleted_at.is_(None))
        mine = edits.c.project == project
        with self._store.reading() as connection:
            page = read_page(connection, query, window, EDIT, [edits.c.number], mine)
        return Page([_edit(row) for row in page.items], page.has_more)

    def delete(self, project: int, id: str) -> None:
        """With its entry in the inbox.

        Raises:
            MissingError.
        """
        with self._store.writing() as connection:
            found = _find(connection, project, id)
            forget_edit(connection, found.number)
            gone = update(edits).where(edits.c.number == found.number)
            connection.execute(gone.values(deleted_at=int(time.time())))


def _free(new: NewEdit) -> dict[str, Any]:
    return {
        "context": json.dumps(new.context or []),
        "original": new.original,
        "model": new.model,
        "adapter": new.adapter,
    }


def _of_turn(connection: Connection, project: int, new: NewEdit) -> dict[str, Any]:
    story = find_story(connection, project, new.story or "")
    *before, turn = turns_to(connection, turn_number(connection, story, new.turn or ""))
    if turn.by != "narrator":
        raise LibraryError(
            f"Turn {new.turn} is the {turn.by}'s, and no model learns that.",
            "Send a gold edit of a narrator's turn.",
        )
    return {
        "story": story.number,
        "turn": turn.number,
        "context": json.dumps(as_messages(story.kind, before)),
        "original": turn.text,
        "model": turn.model,
        "adapter": turn.adapter,
    }


def _find(connection: Connection, project: int, id: str) -> Edit:
    query = _edits().where(
        edits.c.id == EDIT.checked(id), edits.c.project == project, edits.c.deleted_at.is_(None)
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        raise EDIT.missing(id)
    return _edit(row)


def _edits() -> Select[Any]:
    joined = edits.outerjoin(turns, turns.c.number == edits.c.turn).outerjoin(
        stories, stories.c.number == edits.c.story
    )
    names = turns.c.id.label("turn_id"), stories.c.id.label("story_id")
    return select(edits, *names).select_from(joined)


def _edit(row: Row[Any]) -> Edit:
    return Edit(
        number=row.number,
        id=row.id,
        story=row.story_id,
        turn=row.turn_id,
        context=json.loads(row.context),
        original=row.original,
        edited=row.edited,
        model=row.model,
        adapter=row.adapter,
        created_at=row.created_at,
    )
