"""What was deleted long ago goes for good; until then a story can be restored."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import Connection, Table, delete, select

from lmft.store.database import Store
from lmft.store.library_tables import (
    answers,
    comparisons,
    edits,
    inbox,
    stories,
    story_heads,
    turns,
    votes,
)


def purge(store: Store, days: int) -> dict[str, int]:
    """Remove what was deleted at least so many days ago.

    Returns:
        How many stories, comparisons and edits that were.
    """
    before = int(time.time()) - days * 86_400
    with store.writing() as connection:
        return {
            "stories": _gone(connection, stories, before, story_heads.c.story, turns.c.story),
            "comparisons": _gone(
                connection, comparisons, before, votes.c.comparison, answers.c.comparison
            ),
            "edits": _gone(connection, edits, before, inbox.c.edit),
        }


def _gone(connection: Connection, table: Table, before: int, *belonging: Any) -> int:
    old = select(table.c.number).where(table.c.deleted_at <= before)
    for column in belonging:
        connection.execute(delete(column.table).where(column.in_(old)))
    return connection.execute(delete(table).where(table.c.deleted_at <= before)).rowcount
