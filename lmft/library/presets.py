"""Sampler values under a name, one of each name in a project."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from lmft.library.kinds import PRESET
from lmft.library.listing import Page, Window, read_page
from lmft.store.database import Store
from lmft.store.library_tables import presets


@dataclass(frozen=True)
class Preset:
    """Attributes: sampler: fields of a request, as they were given."""

    id: str
    name: str
    sampler: dict[str, Any]
    created_at: int
    updated_at: int


class Presets:
    """The sampler presets of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, project: int, name: str, sampler: Mapping[str, Any]) -> Preset:
        """Make it, or give the one of that name other values."""
        now, text = int(time.time()), json.dumps(sampler)
        with self._store.writing() as connection:
            known = presets.c.project == project, presets.c.name == name
            changed = connection.execute(
                update(presets).where(*known).values(sampler=text, updated_at=now)
            )
            if not changed.rowcount:
                row = {"id": PRESET.mint(), "project": project, "name": name, "sampler": text}
                made = insert(presets).values(row | {"created_at": now, "updated_at": now})
                connection.execute(made)
            return _find(connection, project, name)

    def get(self, project: int, name: str) -> Preset:
        """Raises MissingError."""
        with self._store.reading() as connection:
            return _find(connection, project, name)

    def list(self, project: int, window: Window) -> Page[Preset]:
        """Raises MissingError: no preset `after`."""
        mine = presets.c.project == project
        with self._store.reading() as connection:
            page = read_page(connection, select(presets), window, PRESET, [presets.c.number], mine)
        return Page([_preset(row) for row in page.items], page.has_more)

    def delete(self, project: int, name: str) -> Preset:
        """The one that is gone now. Raises MissingError."""
        with self._store.writing() as connection:
            found = _find(connection, project, name)
            connection.execute(delete(presets).where(presets.c.id == found.id))
        return found


def _find(connection: Connection, project: int, name: str) -> Preset:
    query = select(presets).where(presets.c.project == project, presets.c.name == name)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise PRESET.missing(name)
    return _preset(row)


def _preset(row: Row[Any]) -> Preset:
    return Preset(row.id, row.name, json.loads(row.sampler), row.created_at, row.updated_at)
