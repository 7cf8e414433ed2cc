"""What goes by itself: files and uploads whose time is up, and what killed processes left."""

from __future__ import annotations

import time

from sqlalchemy import select, update

from lmft.files.blobs import Blobs
from lmft.files.file import used
from lmft.store.database import Store
from lmft.store.job_tables import files, uploads


def sweep(store: Store) -> None:
    """Take from the disk what the store says is over; for the start of a server and now and then.
    What others are writing meanwhile stays, and what the store knows nothing of.

    Raises:
        StoreError, MachineError, OSError: it cannot be read or written.
    """
    blobs, now = Blobs(), int(time.time())
    with blobs.alone():
        with store.writing() as connection:
            over = (files.c.expires_at <= now) & files.c.deleted_at.is_(None)
            expired = set(connection.scalars(select(files.c.id).where(over)))
            for id in expired - used(connection):
                connection.execute(update(files).where(files.c.id == id).values(deleted_at=now))
            connection.execute(
                update(uploads)
                .where(uploads.c.status == "pending", uploads.c.expires_at <= now)
                .values(status="expired")
            )
        with store.reading() as connection:
            contents = select(files.c.sha256).distinct()
            kept = set(connection.scalars(contents.where(files.c.deleted_at.is_(None))))
            gone = set(connection.scalars(contents)) - kept
            ids = select(uploads.c.id).where(uploads.c.status != "pending")
            ended = set(connection.scalars(ids))
        blobs.sweep(kept, gone, ended)
