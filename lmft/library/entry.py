"""An entry of the training inbox as a value, and how it is read from its rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Row, Select, select

from lmft.library.texts import Messages
from lmft.store.library_tables import answers, comparisons, edits, inbox, votes

EntryKind = Literal["edit", "vote"]
Status = Literal["pending", "accepted", "dismissed", "exported"]


@dataclass(frozen=True)
class Entry:
    """What may train: after `context`, `chosen` is better than each of `rejected`.

    Attributes:
        edit, vote, comparison: ids of what it came from.
        file: id of the file that it was exported to.
    """

    number: int
    id: str
    kind: EntryKind
    status: Status
    edit: str | None
    vote: str | None
    comparison: str | None
    context: Messages
    chosen: str
    rejected: tuple[str, ...]
    file: str | None
    created_at: int
    changed_at: int


def entry_query() -> Select[Any]:
    joined = (
        inbox.outerjoin(edits, edits.c.number == inbox.c.edit)
        .outerjoin(votes, votes.c.number == inbox.c.vote)
        .outerjoin(comparisons, comparisons.c.number == votes.c.comparison)
    )
    return select(
        inbox,
        edits.c.id.label("edit_id"),
        edits.c.context.label("edit_context"),
        edits.c.original,
        edits.c.edited,
        votes.c.id.label("vote_id"),
        votes.c.comparison.label("compared"),
        votes.c.choice,
        comparisons.c.id.label("comparison_id"),
        comparisons.c.context,
        comparisons.c.prompt,
    ).select_from(joined)


def read_entries(connection: Connection, rows: Sequence[Row[Any]]) -> list[Entry]:
    texts: dict[int, dict[int, str]] = {
        row.compared: {} for row in rows if row.compared is not None
    }
    if texts:
        given = select(answers).where(answers.c.comparison.in_(texts))
        for answer in connection.execute(given):
            texts[answer.comparison][answer.place] = answer.text
    return [_entry(row, texts.get(row.compared, {})) for row in rows]


def _entry(row: Row[Any], texts: Mapping[int, str]) -> Entry:
    if row.kind == "edit":
        context: Messages = json.loads(row.edit_context)
        chosen, rejected = row.edited, [row.original]
    else:
        asked = [{"role": "user", "content": row.prompt}] if row.prompt else []
        context = json.loads(row.context) + asked
        chosen = texts[row.choice]
        rejected = [texts[place] for place in sorted(texts) if place != row.choice]
    return Entry(
        number=row.number,
        id=row.id,
        kind=row.kind,
        status=row.status,
        edit=row.edit_id,
        vote=row.vote_id,
        comparison=row.comparison_id,
        context=context,
        chosen=chosen,
        rejected=tuple(rejected),
        file=row.file,
        created_at=row.created_at,
        changed_at=row.changed_at,
    )
