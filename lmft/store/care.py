"""Looking after the database: whether it is whole, and a copy of it while it is in use."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from lmft import paths
from lmft.errors import InputError, StoreError
from lmft.store.database import Store
from lmft.store.invariants import invariants
from lmft.store.sqlite import in_words

_SHOWN = 5


def faults(store: Store) -> list[str]:
    """What is wrong with the database, a line each: its pages and indexes, references to rows
    that are not there, and what must be true of its rows. Reads all of it."""
    with store.reading() as connection:
        damage = _damage(connection, "integrity_check")
        # Of a damaged file no query says anything.
        return damage or invariants(connection)


def require_whole(store: Store) -> None:
    """A server looks before it starts: a tenth of a second for 10 MB. PostgreSQL needs none of it.

    Raises:
        StoreError: the file is damaged.
    """
    with store.reading() as connection:
        damage = _damage(connection, "quick_check")
    if damage:
        raise StoreError(
            f"The database {store.name} is damaged: {damage[0]}.",
            "Put a backup in its place: docs/runbook.md.",
        )


def backup(store: Store, target: Path) -> int:
    """A copy of the SQLite database as it is at one moment; whoever writes meanwhile goes on.

    Returns:
        Its size in bytes.

    Raises:
        InputError: `target` is there already, or the store is PostgreSQL.
        DiskFullError, MachineError: there is no room or right to write it; nothing is left.
    """
    if target.exists() or not target.parent.is_dir():
        wrong = "exists already" if target.exists() else "is in no directory that there is"
        raise InputError(f"{target} {wrong}.", "Name a new file.")
    staging = target.with_name(f".{target.name}.{os.getpid()}")
    with store.reading() as connection, paths.disk_errors(target.parent):
        if connection.dialect.name != "sqlite":
            raise InputError(
                f"The store is PostgreSQL: {store.name}.",
                'Back it up with its own tool: pg_dump -Fc -f FILE "$LMFT_DATABASE_URL".',
            )
        try:
            # Before SQLite opens it: hashes of keys are nobody else's business.
            os.close(os.open(staging, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            _copy(connection.connection.driver_connection, staging)
            paths.fsync(staging)
            staging.rename(target)
            paths.fsync(target.parent)
        finally:
            staging.unlink(missing_ok=True)
    return target.stat().st_size


def _copy(source: Any, staging: Path) -> None:
    try:
        with contextlib.closing(sqlite3.connect(staging)) as copy:
            # All pages in one step: in steps, every write would start it anew.
            source.backup(copy, pages=-1)
            # One file, with no log beside it.
            copy.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error as error:
        raise in_words(staging, error) from error


def _damage(connection: Connection, check: str) -> list[str]:
    if connection.dialect.name != "sqlite":
        return []
    said = connection.execute(text(f"PRAGMA {check}({_SHOWN})"))
    found = [" ".join(str(row[0]).split()) for row in said]
    if found == ["ok"]:
        found = []
    if check == "integrity_check":
        for table, row, of, _ in connection.execute(text("PRAGMA foreign_key_check")):
            found.append(f"row {row} of {table} refers to a row of {of} that is not there")
    return found
