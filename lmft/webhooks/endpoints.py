"""The addresses that are told how jobs end. Only the command line names them: nobody can have
the server ask an address of theirs over HTTP."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import httpx
from sqlalchemy import Row, func, insert, select, update

from lmft.errors import InputError, NotFoundError
from lmft.object_ids import mint_id
from lmft.store.database import Store
from lmft.store.job_tables import deliveries
from lmft.store.job_tables import webhooks as table
from lmft.store.projects import DEFAULT_PROJECT, numbered
from lmft.store.tables import projects
from lmft.webhooks.event import mint_secret

_MAX_URL = 2000


@dataclass(frozen=True)
class Endpoint:
    """Attributes:
    project: of whose jobs. secret: what signs; whoever has it can make events up.
    delivered, waiting, given_up: events by what became of them.
    detail: why the newest that did not arrive did not; empty if there is none.
    """

    number: int
    id: str
    project: str
    url: str
    secret: str = field(repr=False)
    created_at: int
    delivered: int = 0
    waiting: int = 0
    given_up: int = 0
    detail: str = ""


class Endpoints:
    """The addresses of a store that are not removed."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, url: str, project: str = DEFAULT_PROJECT) -> Endpoint:
        """Tell `url` of every job of the project that ends from now on.

        Raises:
            InputError: no address that can be asked. NotFoundError: no such project.
        """
        _check(url)
        with self._store.writing() as connection:
            row = {
                "id": mint_id("wh_"),
                "project": numbered(connection, project),
                "url": url,
                "secret": mint_secret(),
                "created_at": int(time.time()),
            }
            connection.execute(insert(table).values(row))
        return self.get(str(row["id"]))

    def all(self) -> list[Endpoint]:
        """Oldest first."""
        return self._read()

    def get(self, id: str) -> Endpoint:
        """Raises NotFoundError: no such address, or one that was removed."""
        found = self._read(table.c.id == id)
        if not found:
            raise _missing(id)
        return found[0]

    def remove(self, id: str) -> Endpoint:
        """Send nothing there any more, not even what waits.

        Raises:
            NotFoundError: no such address, or it is removed already.
        """
        found, now = self.get(id), int(time.time())
        with self._store.writing() as connection:
            gone = update(table).where(table.c.number == found.number).values(deleted_at=now)
            connection.execute(gone)
            waiting = deliveries.c.webhook == found.number, deliveries.c.next_at.is_not(None)
            dropped = {"next_at": None, "detail": "The webhook was removed."}
            connection.execute(update(deliveries).where(*waiting).values(dropped))
        return found

    def _read(self, *where: Any) -> list[Endpoint]:
        chosen = (
            select(table, projects.c.name.label("project_name"))
            .join(projects)
            .where(table.c.deleted_at.is_(None), *where)
            .order_by(table.c.number)
        )
        counted = select(
            deliveries.c.webhook,
            func.count(deliveries.c.delivered_at).label("delivered"),
            func.count(deliveries.c.next_at).label("waiting"),
            func.count().label("all"),
        ).group_by(deliveries.c.webhook)
        failed = (
            select(deliveries.c.webhook, deliveries.c.detail)
            .where(deliveries.c.detail != "", deliveries.c.delivered_at.is_(None))
            .order_by(deliveries.c.number)
        )
        with self._store.reading() as connection:
            counts = {row.webhook: row for row in connection.execute(counted)}
            details = {row.webhook: row.detail for row in connection.execute(failed)}
            rows = connection.execute(chosen).all()
        return [_endpoint(row, counts.get(row.number), details.get(row.number, "")) for row in rows]


def _check(url: str) -> None:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = httpx.URL("")
    if parsed.scheme not in ("http", "https") or not parsed.host or len(url) > _MAX_URL:
        raise InputError(
            f"{url[:200]!r} cannot be sent to.",
            f"Give an address that begins with https:// or http://, up to {_MAX_URL} characters.",
        )
    if parsed.userinfo:
        raise InputError(
            "A user or password in a webhook's address is not sent.",
            "Leave it out: the receiver knows this server by the signature.",
        )


def _missing(id: str) -> NotFoundError:
    return NotFoundError(
        f"There is no webhook {id[:80]!r}.", "`lmft webhooks list` shows what there is."
    )


def _endpoint(row: Row[Any], counts: Any, detail: str) -> Endpoint:
    known = (row.number, row.id, row.project_name, row.url, row.secret, row.created_at)
    if counts is None:
        return Endpoint(*known)
    given_up = counts.all - counts.delivered - counts.waiting
    return Endpoint(*known, counts.delivered, counts.waiting, given_up, detail)
