"""The store in one SQLite file: nothing to install, and it travels with `LMFT_HOME`."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, event

from lmft import paths
from lmft.errors import DiskFullError, LmftError, StoreError
from lmft.store.backend import BUSY_SECONDS, Backend

# Of a new one with its log.
_NEW_BYTES = 1_000_000
# What stays of the log beside the file after a large write.
_LOG_BYTES = 16_000_000
_BEGIN = "lmft_begin"
_SETTINGS = (
    "journal_mode = WAL",
    "synchronous = FULL",
    "foreign_keys = ON",
    f"journal_size_limit = {_LOG_BYTES}",
)


def sqlite(path: Path) -> Backend:
    """The file at `path`, made if need be.

    Raises:
        DiskFullError, MachineError: there is no room or right to make it.
    """
    if not path.exists():
        paths.require_free(path.parent, _NEW_BYTES, "The database")
    with paths.disk_errors(path.parent):
        paths.make_dir(path.parent)
        # Hashes of keys are nobody else's business; the files beside it inherit this.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    engine = create_engine(
        f"sqlite:///{path}",
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
        # As many connections as there are threads that ask; each is kept, and so set up once.
        pool_size=0,
        pool_use_lifo=True,
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _: Any) -> None:
        # Python would begin transactions by itself, and only before some statements.
        connection.isolation_level = None
        for setting in _SETTINGS:
            connection.execute(f"PRAGMA {setting}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN"))

    return Backend(
        name=str(path),
        reading=engine,
        writing=engine.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"}),
        alone=lambda: _alone(path.parent),
        in_words=lambda error: in_words(path, error.orig),
    )


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


def in_words(path: Path, error: BaseException | None) -> LmftError:
    """What an error of the driver at the file means for a person."""
    reason = str(error)
    code = getattr(error, "sqlite_errorname", "")
    # A log or its index that cannot grow is an I/O error like any other.
    full = code == "SQLITE_FULL" or ("IOERR" in code and paths.free_bytes(path) < _NEW_BYTES)
    if full:
        return DiskFullError(
            f"The disk of {path} is full.", "Free some space; what was written before is intact."
        )
    return StoreError(
        f"The database {path} cannot be used: {reason}.",
        "Another program holds it: try again."
        if "locked" in reason
        else "Check the disk; a copy of the file from before can take its place.",
    )
