"""What was said of a job: events and checkpoints. Only ever added to; read by cursor."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Column, Connection, Row, insert, select
from sqlalchemy.exc import IntegrityError

from lmft.errors import MachineError, NotFoundError
from lmft.jobs.job import Checkpoint, Event, Said, checkpoint_of, event_of
from lmft.object_ids import mint_id
from lmft.store.job_tables import checkpoints, events


class StaleAttemptError(MachineError):
    """Another attempt has taken the job over: this one has nothing more to say."""

    code = "stale_attempt"


def say(connection: Connection, job: int, said: Iterable[Said], attempt: int | None = None) -> None:
    """Write events of the job with that number.

    Args:
        attempt: whose they are; None for what is said of the job by others.

    Raises:
        StaleAttemptError: there is a newer attempt.
    """
    now = int(time.time())
    rows = [
        {
            "id": mint_id("ftevent-"),
            "job": job,
            "attempt": attempt,
            "level": one.level,
            "type": one.type,
            "message": one.message,
            "data": None if one.data is None else json.dumps(one.data, ensure_ascii=False),
            "created_at": now,
        }
        for one in said
    ]
    if not rows:
        return
    try:
        connection.execute(insert(events), rows)
    except IntegrityError as error:
        raise StaleAttemptError(f"Attempt {attempt} of job {job} is over.") from error


def events_of(
    connection: Connection, job: int, *, after: str | None = None, limit: int = 20
) -> tuple[list[Event], bool]:
    """Newest first, as OpenAI lists them; and whether there are more.

    Args:
        after: id of the last event of the page before.

    Raises:
        NotFoundError: no such event of this job.
    """
    rows = _page(connection, events.c.number, job, after, limit)
    return [event_of(row) for row in rows[:limit]], len(rows) > limit


def events_since(
    connection: Connection, job: int, number: int, *, type: str | None = None, limit: int = 500
) -> list[Event]:
    """Oldest first, those after the event with that number (0: from the start)."""
    query = select(events).where(events.c.job == job, events.c.number > number)
    if type is not None:
        query = query.where(events.c.type == type)
    rows = connection.execute(query.order_by(events.c.number).limit(limit))
    return [event_of(row) for row in rows]


def number_of(connection: Connection, job: int, id: str) -> int:
    """The cursor of an event of that job. Raises NotFoundError: it has none of that id."""
    return _place(connection, events.c.number, job, id)


def add_checkpoint(
    connection: Connection, job: int, step: int, model: str, metrics: Mapping[str, Any]
) -> None:
    """A checkpoint that can be asked for; said once a step."""
    known = select(checkpoints.c.number).where(checkpoints.c.job == job, checkpoints.c.step == step)
    if connection.scalar(known) is not None:
        return
    row = {
        "id": mint_id("ftckpt_"),
        "job": job,
        "step": step,
        "model": model,
        "metrics": json.dumps(metrics),
        "created_at": int(time.time()),
    }
    connection.execute(insert(checkpoints).values(row))


def checkpoints_of(
    connection: Connection, job: int, *, after: str | None = None, limit: int = 10
) -> tuple[list[Checkpoint], bool]:
    """Newest first; and whether there are more.

    Raises:
        NotFoundError: no checkpoint `after` of this job.
    """
    rows = _page(connection, checkpoints.c.step, job, after, limit)
    return [checkpoint_of(row) for row in rows[:limit]], len(rows) > limit


def _page(
    connection: Connection, order: Column[int], job: int, after: str | None, limit: int
) -> Sequence[Row[Any]]:
    """Rows of the job, by `order` downwards, and one more than `limit` where there are more."""
    table = order.table
    query = select(table).where(table.c.job == job).order_by(order.desc())
    if after is not None:
        query = query.where(order < _place(connection, order, job, after))
    return connection.execute(query.limit(limit + 1)).all()


def _place(connection: Connection, order: Column[int], job: int, id: str) -> int:
    table = order.table
    query = select(order).where(table.c.id == id, table.c.job == job)
    if (place := connection.scalar(query)) is None:
        raise NotFoundError(f"There is no {id[:80]!r} among the {table.name} of this job.")
    return place
