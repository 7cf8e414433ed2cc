"""Whether a project has room for what is announced, before the first byte of it is taken in."""

from __future__ import annotations

import time

from sqlalchemy import Connection, select

from lmft.store.database import Store
from lmft.store.idempotency import KEPT_SECONDS
from lmft.store.job_tables import idempotency as table
from lmft.store.quotas import require_disk


def require_room(store: Store, project_id: int, n_bytes: int, key: str | None = None) -> None:
    """Args:
        n_bytes: that are coming at least.
        key: the request's Idempotency-Key. What is sent a second time needs no more room: its
            answer is what the first one made.

    Raises:
        QuotaError: they are more than the project may keep beside what it has.
    """
    if not n_bytes:
        return
    with store.reading() as connection:
        if key is None or not _known(connection, project_id, key):
            require_disk(connection, project_id, n_bytes)


def _known(connection: Connection, project_id: int, key: str) -> bool:
    since = table.c.created_at > int(time.time()) - KEPT_SECONDS
    made = select(table.c.made).where(table.c.project == project_id, table.c.key == key, since)
    return connection.scalar(made) is not None
