"""What is to be sent: written in the transaction that ends a job, so that an end that is known
is always told; then tried until it arrives or a day is over."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, insert, or_, select, update

from lmft.object_ids import mint_id
from lmft.store.database import Store
from lmft.store.job_tables import deliveries, jobs, webhooks
from lmft.webhooks.event import Event

# Tries come at 5 s, then ever later, the last ones 4 hours apart: 14 of them in about a day.
_FIRST_DELAY_SECONDS = 5
_MAX_DELAY_SECONDS = 4 * 3600
_GROWTH = 3
MAX_TRIES = 14
# Longer than a try can take: if the sender is killed in it, it is made again.
_LEASE_SECONDS = 60
_BATCH = 32
_MAX_DETAIL = 300


@dataclass(frozen=True)
class Letter:
    """An event on its way to one address. Attributes: tries: with the one that is made now."""

    number: int
    tries: int
    url: str
    secret: str = field(repr=False)
    event: Event


def enqueue(connection: Connection, job_number: int, project_id: int, type: str) -> None:
    """Let every webhook of the project hear that the job has ended. Belongs in the transaction
    that ends it.

    Args:
        type: one of lmft.webhooks.event.TYPES.
    """
    now = int(time.time())
    chosen = select(webhooks.c.number).where(
        webhooks.c.project == project_id, webhooks.c.deleted_at.is_(None)
    )
    for webhook in connection.scalars(chosen).all():
        row = {
            "id": mint_id("evt_"),
            "webhook": webhook,
            "job": job_number,
            "type": type,
            "tries": 0,
            "next_at": now,
            "created_at": now,
        }
        connection.execute(insert(deliveries).values(row))


class Outbox:
    """The deliveries of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def take(self, now: int) -> list[Letter]:
        """What is due, at most 32; nobody else is given it for a minute."""
        # A clock that was set back must not make anything wait for longer than it would.
        due = or_(
            deliveries.c.next_at <= now,
            deliveries.c.next_at > now + _MAX_DELAY_SECONDS + _LEASE_SECONDS,
        )
        chosen = (
            select(
                deliveries,
                webhooks.c.url,
                webhooks.c.secret,
                jobs.c.id.label("job_id"),
            )
            .join(webhooks, webhooks.c.number == deliveries.c.webhook)
            .join(jobs, jobs.c.number == deliveries.c.job)
            .where(deliveries.c.next_at.is_not(None), due)
            .order_by(deliveries.c.next_at)
            .limit(_BATCH)
        )
        # Asked every second: as long as nothing is due, nobody is made to wait for a lock.
        with self._store.reading() as connection:
            if not connection.execute(chosen.limit(1)).first():
                return []
        with self._store.writing() as connection:
            rows = connection.execute(chosen).all()
            taken = deliveries.c.number.in_([row.number for row in rows])
            lease = {"tries": deliveries.c.tries + 1, "next_at": now + _LEASE_SECONDS}
            connection.execute(update(deliveries).where(taken).values(lease))
        return [
            Letter(
                row.number,
                row.tries + 1,
                row.url,
                row.secret,
                Event(row.id, row.type, row.job_id, row.created_at),
            )
            for row in rows
        ]

    def record(self, outcomes: Sequence[tuple[Letter, str]], now: int) -> None:
        """What became of letters: `` if it arrived, else why it did not."""
        with self._store.writing() as connection:
            for letter, failure in outcomes:
                # Not what was given up meanwhile, with its webhook.
                waits = deliveries.c.number == letter.number, deliveries.c.next_at.is_not(None)
                values = _after(letter.tries, failure, now)
                connection.execute(update(deliveries).where(*waits).values(values))


def _after(tries: int, failure: str, now: int) -> dict[str, int | str | None]:
    if not failure:
        return {"next_at": None, "delivered_at": now, "detail": ""}
    again = None if tries >= MAX_TRIES else now + delay_seconds(tries)
    return {"next_at": again, "detail": failure[:_MAX_DETAIL]}


def delay_seconds(tries: int) -> int:
    """How long to wait after so many tries in vain."""
    return min(int(_FIRST_DELAY_SECONDS * _GROWTH ** (tries - 1)), _MAX_DELAY_SECONDS)
