"""A story as a value: how it is found, changed, and moved to another of its turns."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import Connection, Row, Select, delete, insert, select, update

from lmft.library.kinds import STORY, TURN, StaleVersionError
from lmft.store.library_tables import stories, story_heads, turns

StoryKind = Literal["story", "adventure", "chat"]


@dataclass(frozen=True)
class NewStory:
    """Attributes: settings: the client's own, plain JSON."""

    kind: StoryKind
    title: str = ""
    model: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Story:
    """Attributes:
    head: id of the turn that it stands at; None before the first.
    created_at, updated_at, deleted_at: Unix seconds.
    """

    number: int
    id: str
    project_id: int
    kind: StoryKind
    title: str
    model: str | None
    settings: dict[str, Any]
    head: str | None
    version: int
    created_at: int
    updated_at: int
    deleted_at: int | None


def find_story(
    connection: Connection, project: int, id: str, *, deleted_too: bool = False
) -> Story:
    """Raises MissingError: no such story, or another project's."""
    query = story_query().where(stories.c.id == STORY.checked(id), stories.c.project == project)
    row = connection.execute(query).one_or_none()
    if row is None or (row.deleted_at is not None and not deleted_too):
        raise STORY.missing(id)
    return story_of(row)


def change_story(
    connection: Connection,
    story: Story,
    values: Mapping[str, Any],
    *,
    version: int | None = None,
) -> None:
    """Write `values` and a new version.

    Args:
        version: the one that the sender had read; None if that does not matter.

    Raises:
        StaleVersionError: the story has another one by now.
    """
    if version is not None and version != story.version:
        raise StaleVersionError(
            f"Story {story.id} is at version {story.version}, not {version}: it was changed "
            "elsewhere.",
            f"GET /v1/lmft/stories/{story.id} again, and send the change with its version.",
        )
    changed = {"version": story.version + 1, "updated_at": int(time.time()), **values}
    connection.execute(update(stories).where(stories.c.number == story.number).values(changed))


def turn_number(connection: Connection, story: Story, id: str) -> int:
    """Raises MissingError: the story has no such turn."""
    query = select(turns.c.number).where(
        turns.c.id == TURN.checked(id), turns.c.story == story.number
    )
    number = connection.scalar(query)
    if number is None:
        raise TURN.missing(id)
    return int(number)


def set_head(connection: Connection, story: Story, turn: int | None) -> None:
    """Let the story stand at the turn of that number; None: before its first."""
    connection.execute(delete(story_heads).where(story_heads.c.story == story.number))
    if turn is not None:
        connection.execute(insert(story_heads).values(story=story.number, turn=turn))


def story_query() -> Select[Any]:
    with_head = stories.outerjoin(story_heads, story_heads.c.story == stories.c.number).outerjoin(
        turns, turns.c.number == story_heads.c.turn
    )
    return select(stories, turns.c.id.label("head")).select_from(with_head)


def story_of(row: Row[Any]) -> Story:
    columns = dict(row._mapping)
    del columns["folded"]
    columns["project_id"] = columns.pop("project")
    columns["settings"] = json.loads(columns["settings"])
    return Story(**columns)
