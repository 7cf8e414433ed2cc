"""Of a job's events those that carry something: rows of metrics, samples. Read a page at a time,
however long the job is."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Select, select

from lmft.jobs.events import events_since, number_of
from lmft.jobs.job import Event, event_of
from lmft.store.job_tables import events

_AT_ONCE = 500


def metrics_since(
    connection: Connection, job: int, after: str | None, limit: int
) -> tuple[list[Event], bool]:
    """Rows of metrics, oldest first; and whether there are more.

    Args:
        after: id of the last row that is known: whoever goes on with it misses none.

    Raises:
        NotFoundError: no such event of this job.
    """
    number = 0 if after is None else number_of(connection, job, after)
    return _metrics(connection, job, number, limit)


def metrics_after(
    connection: Connection, job: int, step: int, limit: int
) -> tuple[list[Event], bool]:
    """Rows of metrics of later steps than that, oldest first; and whether there are more.

    A step that is evaluated has two rows, not said at once: whoever has only one of them does not
    hear of the other in this way.
    Steps of a job grow, so the newest are looked at first: whoever polls asks for those.
    """
    return _metrics(connection, job, _last_until(connection, job, step), limit)


def samples_of(connection: Connection, job: int, limit: int) -> tuple[list[Event], bool]:
    """Oldest first; and whether there are more."""
    query = _of(job, "message").where(events.c.data.is_not(None)).order_by(events.c.number)
    found = [event_of(row) for row in connection.execute(query.limit(limit + 1))]
    found = [event for event in found if "sample" in (event.data or {})]
    return found[:limit], len(found) > limit


def _metrics(connection: Connection, job: int, number: int, limit: int) -> tuple[list[Event], bool]:
    found = events_since(connection, job, number, type="metrics", limit=limit + 1)
    return found[:limit], len(found) > limit


def _last_until(connection: Connection, job: int, step: int) -> int:
    """The number of the last row of metrics up to that step; 0 without one."""
    before: int | None = None
    while True:
        query = _of(job, "metrics").order_by(events.c.number.desc()).limit(_AT_ONCE)
        if before is not None:
            query = query.where(events.c.number < before)
        rows = [event_of(row) for row in connection.execute(query)]
        for event in rows:
            if _step(event) <= step:
                return event.number
        if len(rows) < _AT_ONCE:
            return 0
        before = rows[-1].number


def _of(job: int, kind: str) -> Select[Any]:
    return select(events).where(events.c.job == job, events.c.type == kind)


def _step(event: Event) -> int:
    step = (event.data or {}).get("step")
    return step if isinstance(step, int) else 0
