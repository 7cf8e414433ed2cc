"""The turns of a story: trees that only grow.

A retry is one more child of the same parent. An edit is one more child too, which says what it
was edited from. Nothing is ever changed or taken away, so nothing that was written is lost.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

from sqlalchemy import Connection, insert, select

from lmft.library.kinds import TURN
from lmft.library.listing import Page, Window, read_page
from lmft.library.once import Asked, once
from lmft.library.story import Story, change_story, find_story, set_head, turn_number
from lmft.library.texts import as_text
from lmft.library.turn import NewTurn, Turn, read_turns, turn_of, turn_query
from lmft.library.walking import turns_to, way_to
from lmft.store.database import Store
from lmft.store.library_tables import turns

HEAD = "head"


class Turns:
    """The turns of a store's stories."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def append(
        self,
        project: int,
        story: str,
        new: Sequence[NewTurn],
        *,
        parent: str | None = HEAD,
        version: int | None = None,
        move_head: bool = True,
        asked: Asked | None = None,
    ) -> tuple[Story, list[Turn]]:
        """Add a chain: the first below `parent`, each other below the one before.

        Args:
            parent: a turn's id, `head`, or None for another beginning.
            version: of the story, if it must not have changed since.
            move_head: the story stands at the last of them then.

        Returns:
            The story and the new turns, as they are now.

        Raises:
            MissingError, StaleVersionError.
        """
        with self._store.writing() as connection:
            found = find_story(connection, project, story)

            def make() -> str:
                below = found.head if parent == HEAD else parent
                number = None if below is None else turn_number(connection, found, below)
                return _grow(connection, found, new, number, version, move_head=move_head)

            last = once(connection, project, asked, make)
            found = find_story(connection, project, story)
            made = way_to(turn_number(connection, found, last), most=len(new))
            return found, read_turns(connection, story, turns.c.number.in_(made))

    def edit(
        self,
        project: int,
        story: str,
        turn: str,
        text: str,
        *,
        version: int | None = None,
        asked: Asked | None = None,
    ) -> tuple[Story, Turn]:
        """Add a turn like `turn` beside it, with another text; the story stands there then.

        Raises:
            MissingError, StaleVersionError.
        """
        with self._store.writing() as connection:
            found = find_story(connection, project, story)

            def make() -> str:
                number = turn_number(connection, found, turn)
                row = connection.execute(select(turns).where(turns.c.number == number)).one()
                new = NewTurn(row.by, text, row.mode, row.name)
                return _grow(connection, found, [new], row.parent, version, edited_from=number)

            made = once(connection, project, asked, make)
            found = find_story(connection, project, story)
            return found, read_turns(connection, story, turns.c.id == made)[0]

    def get(self, project: int, story: str, turn: str) -> Turn:
        """Raises MissingError."""
        with self._store.reading() as connection:
            number = turn_number(connection, find_story(connection, project, story), turn)
            return read_turns(connection, story, turns.c.number == number)[0]

    def tree(self, project: int, story: str) -> tuple[Story, Sequence[Turn]]:
        """The story and all of its turns, each after its parent.

        Raises:
            MissingError.
        """
        with self._store.reading() as connection:
            found = find_story(connection, project, story)
            return found, read_turns(connection, story, turns.c.story == found.number)

    def text(self, project: int, story: str, to: str = HEAD) -> str:
        """The story as a person reads it, from the beginning to that turn.

        Raises:
            MissingError: no such story, no such turn in it.
        """
        with self._store.reading() as connection:
            found = find_story(connection, project, story)
            end = found.head if to == HEAD else to
            if end is None:
                return ""
            return as_text(found, turns_to(connection, turn_number(connection, found, end)))

    def list(
        self,
        project: int,
        story: str,
        window: Window,
        *,
        to: str | None = None,
        parent: str | None = None,
    ) -> Page[Turn]:
        """In the order in which they were added, which puts each after its parent.

        Args:
            to: only the way from the beginning to this turn (or to the `head`).
            parent: only the turns below this one.

        Raises:
            MissingError: no such story, no such turn in it.
        """
        with self._store.reading() as connection:
            found = find_story(connection, project, story)
            query, end = turn_query(), found.head if to == HEAD else to
            if to is not None and end is None:
                return Page([], has_more=False)
            if end is not None:
                way = way_to(turn_number(connection, found, end))
                query = query.where(turns.c.number.in_(way))
            if parent is not None:
                below = turn_number(connection, found, parent)
                query = query.where(turns.c.parent == below)
            here = turns.c.story == found.number
            page = read_page(connection, query, window, TURN, [turns.c.number], here)
            return Page([turn_of(row, story) for row in page.items], page.has_more)


def _grow(
    connection: Connection,
    story: Story,
    new: Sequence[NewTurn],
    parent: int | None,
    version: int | None,
    *,
    move_head: bool = True,
    edited_from: int | None = None,
) -> str:
    """The id of the last of the chain."""
    change_story(connection, story, {}, version=version)
    id, now = "", int(time.time())
    added = insert(turns).returning(turns.c.number)
    for turn in new:
        id = TURN.mint()
        row = vars(turn) | {
            "id": id,
            "story": story.number,
            "parent": parent,
            "edited_from": edited_from,
            "sampler": None if turn.sampler is None else json.dumps(turn.sampler),
            "created_at": now,
        }
        parent = connection.execute(added, row).scalar_one()
    if move_head:
        set_head(connection, story, parent)
    return id
