"""A turn as a value, and how it is read from its row."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Row, Select, select

from lmft.store.library_tables import turns

Speaker = Literal["narrator", "player", "system"]


@dataclass(frozen=True)
class NewTurn:
    """
    Attributes:
        by: in a chat the player is the user, the narrator the assistant.
        mode: how a player's text is meant; None in a chat.
        name: of the speaker, where there are several.
        shown: the line that the server made of a player's text.
        adapter: fingerprint of the weights that wrote it. sampler: the values they were asked
            with. tokens: of the text. dropped_turns: what of the story the model did not see.
    """

    by: Speaker
    text: str
    mode: Literal["do", "say", "story"] | None = None
    name: str | None = None
    shown: str | None = None
    model: str | None = None
    adapter: str | None = None
    sampler: Mapping[str, Any] | None = None
    finish_reason: str | None = None
    tokens: int | None = None
    dropped_turns: int | None = None


@dataclass(frozen=True)
class Turn(NewTurn):
    """Attributes: id, story, parent, edited_from: ids. created_at: Unix seconds."""

    id: str = ""
    story: str = ""
    parent: str | None = None
    edited_from: str | None = None
    created_at: int = 0


def turn_query() -> Select[Any]:
    above, before = turns.alias("above"), turns.alias("before")
    joined = turns.outerjoin(above, above.c.number == turns.c.parent).outerjoin(
        before, before.c.number == turns.c.edited_from
    )
    return select(
        turns, above.c.id.label("parent_id"), before.c.id.label("edited_from_id")
    ).select_from(joined)


def read_turns(connection: Connection, story: str, *where: Any) -> list[Turn]:
    rows = connection.execute(turn_query().where(*where).order_by(turns.c.number))
    return [turn_of(row, story) for row in rows]


def turn_of(row: Row[Any], story: str) -> Turn:
    columns = dict(row._mapping)
    del columns["number"]
    columns["story"] = story
    for name in ("parent", "edited_from"):
        columns[name] = columns.pop(f"{name}_id")
    columns["sampler"] = json.loads(columns["sampler"]) if columns["sampler"] else None
    return Turn(**columns)
