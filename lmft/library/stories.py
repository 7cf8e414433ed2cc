"""Stories, adventures and chats: a title, a model, settings, and a head in a tree of turns.

The head is the turn that the story stands at. Each change raises `version`; whoever patches
says which version was read, so that two tabs do not overwrite each other.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, Literal

from sqlalchemy import Connection, insert

from lmft.library.kinds import STORY
from lmft.library.listing import Page, Window, read_page
from lmft.library.once import Asked, once
from lmft.library.story import (
    NewStory,
    Story,
    StoryKind,
    change_story,
    find_story,
    set_head,
    story_of,
    story_query,
    turn_number,
)
from lmft.store.database import Store
from lmft.store.library_tables import stories


class Stories:
    """The stories of a store. A deleted one is gone for all but `restore`, until it is purged."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def create(self, project: int, new: NewStory, asked: Asked | None = None) -> Story:
        with self._store.writing() as connection:
            id = once(connection, project, asked, lambda: _insert(connection, project, new))
            return find_story(connection, project, id)

    def get(self, project: int, id: str) -> Story:
        """Raises MissingError."""
        with self._store.reading() as connection:
            return find_story(connection, project, id)

    def list(
        self,
        project: int,
        window: Window,
        *,
        by: Literal["updated", "created"] = "updated",
        q: str = "",
        kind: StoryKind | None = None,
    ) -> Page[Story]:
        """Args: q: only those whose title has this in it, in upper or lower case.

        Raises:
            MissingError: no story `after`.
        """
        query = story_query().where(stories.c.deleted_at.is_(None))
        if q:
            query = query.where(stories.c.folded.contains(q.casefold(), autoescape=True))
        if kind is not None:
            query = query.where(stories.c.kind == kind)
        keys = [stories.c.updated_at, stories.c.number] if by == "updated" else [stories.c.number]
        with self._store.reading() as connection:
            mine = stories.c.project == project
            page = read_page(connection, query, window, STORY, keys, mine)
        return Page([story_of(row) for row in page.items], page.has_more)

    def patch(self, project: int, id: str, version: int, changes: Mapping[str, Any]) -> Story:
        """Args:
            version: the one that was read.
            changes: any of title, model, settings, and head (a turn's id, or None).

        Raises:
            MissingError: no such story or turn. StaleVersionError: it has changed since.
        """
        values = dict(changes)
        with self._store.writing() as connection:
            story = find_story(connection, project, id)
            if "settings" in values:
                values["settings"] = json.dumps(values["settings"], ensure_ascii=False)
            if "title" in values:
                values["folded"] = values["title"].casefold()
            head = values.pop("head", story.head)
            change_story(connection, story, values, version=version)
            if head != story.head:
                number = None if head is None else turn_number(connection, story, head)
                set_head(connection, story, number)
            return find_story(connection, project, id)

    def delete(self, project: int, id: str) -> None:
        """Raises MissingError."""
        with self._store.writing() as connection:
            story = find_story(connection, project, id)
            change_story(connection, story, {"deleted_at": int(time.time())})

    def restore(self, project: int, id: str) -> Story:
        """Take a deletion back; a story that is not deleted stays as it is.

        Raises:
            MissingError: there is none, or it is purged.
        """
        with self._store.writing() as connection:
            story = find_story(connection, project, id, deleted_too=True)
            if story.deleted_at is not None:
                change_story(connection, story, {"deleted_at": None})
            return find_story(connection, project, id)


def _insert(connection: Connection, project: int, new: NewStory) -> str:
    id, now = STORY.mint(), int(time.time())
    row = {
        "id": id,
        "project": project,
        "kind": new.kind,
        "title": new.title,
        "folded": new.title.casefold(),
        "model": new.model,
        "settings": json.dumps(new.settings, ensure_ascii=False),
        "version": 1,
        "created_at": now,
        "updated_at": now,
    }
    connection.execute(insert(stories).values(row))
    return id
