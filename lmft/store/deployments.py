"""What an alias shall name, and what became of the wish: an append-only history.

    wanted -> live -> retired          the wish was fulfilled; then another version went live
    wanted -> failed                   its probe failed, or it cannot be served
    wanted -> superseded               a newer wish came first (it may still turn live or failed,
                                       if it was being fulfilled just then)
    any    -> forgotten                the adapter was removed

The database holds at most one wanted and one live row an alias.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, insert, select, update

from lmft.errors import NotFoundError
from lmft.store.database import Store
from lmft.store.tables import deployments as table

_MAX_DETAIL = 1000


@dataclass(frozen=True)
class Deployment:
    """Attributes:
    wanted_at, changed_at: Unix seconds; `changed_at` is when it came into its state.
    """

    id: int
    alias: str
    adapter_id: str
    reason: str
    state: str
    detail: str
    wanted_at: int
    changed_at: int


class Deployments:
    """Wishes and what became of them. Safe to use from several processes at once."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def want(self, alias: str, adapter_id: str, reason: str) -> int:
        """Ask that `alias` name `adapter_id`; a wish for it that is still open gives way.

        Returns:
            The number of the new wish.
        """
        now = int(time.time())
        row = {"alias": alias, "adapter": adapter_id, "reason": reason, "state": "wanted"}
        with self._store.writing() as connection:
            _move(connection, "superseded", "", table.c.alias == alias, table.c.state == "wanted")
            wish = insert(table).values(**row, wanted_at=now, changed_at=now)
            number: int = connection.execute(wish.returning(table.c.id)).scalar_one()
            return number

    def wanted(self) -> list[Deployment]:
        """The open wishes, oldest first: at most one an alias."""
        return self._all(select(table).where(table.c.state == "wanted").order_by(table.c.id))

    def went_live(self, id: int) -> None:
        """The wish is fulfilled; what was live under its alias is retired in the same breath.

        Raises:
            NotFoundError: no such wish, or its adapter was removed meanwhile.
        """
        with self._store.writing() as connection:
            wish = _row(connection, id)
            if wish.state == "live":
                return
            _move(connection, "retired", "", table.c.alias == wish.alias, table.c.state == "live")
            _move(connection, "live", "", table.c.id == id)

    def failed(self, id: int, detail: str) -> None:
        """The wish cannot be fulfilled; what was live stays live.

        Raises:
            NotFoundError: no such wish, or its adapter was removed meanwhile.
        """
        with self._store.writing() as connection:
            if _row(connection, id).state == "failed":
                return
            _move(connection, "failed", detail[:_MAX_DETAIL], table.c.id == id)

    def live(self) -> dict[str, str]:
        """alias -> adapter id"""
        with self._store.reading() as connection:
            rows = connection.execute(
                select(table.c.alias, table.c.adapter).where(table.c.state == "live")
            )
            return {alias: adapter for alias, adapter in rows}

    def before(self, alias: str) -> str | None:
        """The adapter that was live before the present one: where a rollback goes. A rollback
        of a rollback comes back, as with `cd -`."""
        with self._store.reading() as connection:
            present = connection.scalar(
                select(table.c.adapter).where(table.c.alias == alias, table.c.state == "live")
            )
            return connection.scalar(
                select(table.c.adapter)
                .where(
                    table.c.alias == alias,
                    table.c.state == "retired",
                    table.c.adapter != (present or ""),
                )
                .order_by(table.c.id.desc())
                .limit(1)
            )

    def history(self, alias: str) -> list[Deployment]:
        """All wishes for `alias`, newest first."""
        return self._all(select(table).where(table.c.alias == alias).order_by(table.c.id.desc()))

    def forget(self, adapter_id: str) -> None:
        """The adapter is being removed: nothing wants it, nothing names it, no rollback goes
        back to it. Its rows stay, as history."""
        with self._store.writing() as connection:
            _move(
                connection,
                "forgotten",
                "",
                table.c.adapter == adapter_id,
                table.c.state != "forgotten",
            )

    def go_back(
        self, alias: str, adapter_id: str, reason: str, there: Collection[str]
    ) -> str | None:
        """`forget`; where it was live, the version before it is live again in the same breath.
        Open wishes stay: going back is none of those that give way to a newer one.

        Args:
            there: the adapters that are on the disk.

        Returns:
            What the alias means now, if that is another one.
        """
        now = int(time.time())
        with self._store.writing() as connection:
            live = select(table.c.adapter).where(table.c.alias == alias, table.c.state == "live")
            was_live = connection.scalar(live) == adapter_id
            this = table.c.adapter == adapter_id
            _move(connection, "forgotten", "", this, table.c.state != "forgotten")
            before = connection.scalar(
                select(table.c.adapter)
                .where(table.c.alias == alias, table.c.state == "retired")
                .order_by(table.c.id.desc())
                .limit(1)
            )
            if not was_live or before not in there:
                return None
            row = {"alias": alias, "adapter": before, "reason": reason, "state": "live"}
            connection.execute(insert(table).values(**row, wanted_at=now, changed_at=now))
            return str(before)

    def _all(self, query: Select[Any]) -> list[Deployment]:
        with self._store.reading() as connection:
            return [_deployment(row) for row in connection.execute(query)]


def _row(connection: Connection, id: int) -> Deployment:
    row = connection.execute(select(table).where(table.c.id == id)).one_or_none()
    if row is None or row.state == "forgotten":
        raise NotFoundError(f"There is no deployment {id}, or its adapter was removed.")
    return _deployment(row)


def _deployment(row: Row[Any]) -> Deployment:
    return Deployment(
        id=row.id,
        alias=row.alias,
        adapter_id=row.adapter,
        reason=row.reason,
        state=row.state,
        detail=row.detail,
        wanted_at=row.wanted_at,
        changed_at=row.changed_at,
    )


def _move(connection: Connection, state: str, detail: str, *where: Any) -> None:
    connection.execute(
        update(table).where(*where).values(state=state, detail=detail, changed_at=int(time.time()))
    )
