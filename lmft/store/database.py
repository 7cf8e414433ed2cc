"""The one file that holds what changes: opening it, transactions on it, its errors in words."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError, IntegrityError

from lmft import paths
from lmft.errors import StoreError
from lmft.store.migrate import NewerDatabaseError, migrate

FILE = "lmft.db"
_BUSY_SECONDS = 5.0
# Of a new one with its log.
_NEW_BYTES = 1_000_000
_BEGIN = "lmft_begin"


class Store:
    """A database at the newest migration. Its methods may be called from any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent view; in WAL mode it neither waits for a writer nor makes one wait."""
        with _in_words(self._engine), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is alone from its start, so what it reads stays true until it
        commits. IntegrityError passes through: a caller knows which rule it has broken.

        Raises:
            StoreError: the file is locked for longer than 5 s, unreadable, or the disk is full.
        """
        with _in_words(self._engine), self._engine.connect() as plain:
            connection = plain.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})
            with connection.begin():
                yield connection

    def close(self) -> None:
        self._engine.dispose()


def store_file() -> Path:
    """Where the store of this `LMFT_HOME` is, or will be."""
    return paths.home() / FILE


def open_store(path: Path | None = None) -> Store:
    """The store of this `LMFT_HOME`, made and migrated if need be.

    Args:
        path: another file than `$LMFT_HOME/lmft.db`.

    Raises:
        StoreError: it is of a newer lmft, no database, locked, or cannot be written.
        DiskFullError, MachineError: there is no room or right to make it.
    """
    path = path or store_file()
    if not path.exists():
        paths.require_free(path.parent, _NEW_BYTES, "The database of keys and deployments")
    with paths.disk_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        # Hashes of keys are nobody else's business; the files beside it inherit this.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    engine = _engine(path)
    try:
        with _alone(path.parent), _in_words(engine), engine.connect() as plain:
            connection = plain.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})
            with connection.begin():
                migrate(connection)
    except NewerDatabaseError as error:
        engine.dispose()
        raise StoreError(
            f"{path} was written by a newer lmft (step {error}).",
            "Use that lmft, or set LMFT_HOME to another directory.",
        ) from error
    except BaseException:
        engine.dispose()
        raise
    return Store(engine)


def _engine(path: Path) -> Engine:
    engine = create_engine(
        f"sqlite:///{path}", connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False}
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _: Any) -> None:
        # Python would begin transactions by itself, and only before some statements.
        connection.isolation_level = None
        for setting in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {setting}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN"))

    return engine


@contextlib.contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """One process at a time: SQLite does not wait when two turn WAL mode on at once.

    The lock is on the directory, since a second descriptor on the database, once closed,
    would take SQLite's own locks with it (POSIX).
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _in_words(engine: Engine) -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise
    except DatabaseError as error:
        reason = str(error.orig)
        raise StoreError(
            f"The database {engine.url.database} cannot be used: {reason}.",
            "Another program holds it: try again."
            if "locked" in reason
            else "Check the disk; a copy of the file from before can take its place.",
        ) from error
