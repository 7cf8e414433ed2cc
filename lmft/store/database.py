"""What changes, in one database: opening it, transactions on it, its errors in words."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as NoConnectionError

from lmft import paths
from lmft.errors import StoreError
from lmft.store.backend import Backend
from lmft.store.migrate import NewerDatabaseError, migrate
from lmft.store.postgresql import postgresql
from lmft.store.sqlite import sqlite

FILE = "lmft.db"
URL_SETTING = "LMFT_DATABASE_URL"


class Store:
    """A database at the newest migration. Its methods may be called from any thread."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    @property
    def name(self) -> str:
        """What messages call it."""
        return self._backend.name

    @property
    def is_this_homes_own(self) -> bool:
        """A file beside all else of one `LMFT_HOME`: no other's worker writes it."""
        return self._backend.writing.dialect.name == "sqlite"

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent view, which neither waits for a writer nor makes one wait."""
        with self._transaction(self._backend.reading) as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is alone from its start, so what it reads stays true until it
        commits, and numbers appear in the order in which they are given.

        IntegrityError passes through: a caller knows which rule it has broken. The transaction
        is over then.

        Raises:
            StoreError: it is locked for longer than 5 s, unreadable, or not there.
            DiskFullError: nothing was written.
            InputError: a text or number that the database cannot hold.
        """
        with self._transaction(self._backend.writing) as connection:
            yield connection

    def close(self) -> None:
        self._backend.reading.dispose()

    @contextlib.contextmanager
    def _transaction(self, engine: Engine) -> Iterator[Connection]:
        with _in_words(self._backend), engine.connect() as connection, connection.begin():
            yield connection


def store_file() -> Path:
    """Where the store of this `LMFT_HOME` is, or will be, unless `LMFT_DATABASE_URL` is set."""
    return paths.home() / FILE


def store_exists() -> bool:
    """Whether there is one to open: a command that only looks makes none."""
    return bool(os.environ.get(URL_SETTING)) or store_file().exists()


def open_store(place: Path | str | None = None) -> Store:
    """The store, made and migrated if need be.

    Args:
        place: an SQLite file or a URL of PostgreSQL [default: what `LMFT_DATABASE_URL` says, else
            the file of this `LMFT_HOME`].

    Raises:
        StoreError: it is of a newer lmft, no database, locked, or cannot be written.
        DiskFullError, MachineError: there is no room or right to make it.
        InputError: a URL that is not one of PostgreSQL.
    """
    place = place or os.environ.get(URL_SETTING) or store_file()
    backend = sqlite(place) if isinstance(place, Path) else postgresql(place)
    store = Store(backend)
    try:
        with backend.alone(), store.writing() as connection:
            migrate(connection)
    except NewerDatabaseError as error:
        store.close()
        raise StoreError(
            f"{backend.name} was written by a newer lmft (step {error}).",
            "Use that lmft, or another database: set LMFT_HOME or LMFT_DATABASE_URL.",
        ) from error
    except BaseException:
        store.close()
        raise
    return store


@contextlib.contextmanager
def _in_words(backend: Backend) -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise
    except DBAPIError as error:
        raise backend.in_words(error) from error
    except NoConnectionError as error:
        raise StoreError(
            f"All connections to {backend.name} are taken.", "Try again in a moment."
        ) from error
