"""From SQLite to PostgreSQL: all rows, as they are, in one transaction."""

from __future__ import annotations

from sqlalchemy import Connection, Table, delete, func, insert, select, text

from lmft.errors import InputError, StoreError
from lmft.store import job_tables, library_tables  # noqa: F401
from lmft.store.database import Store
from lmft.store.invariants import invariants
from lmft.store.tables import metadata, projects

_BATCH = 1000


def move(source: Store, target: Store) -> int:
    """Fill a new PostgreSQL database with what an SQLite one holds; all of it, or nothing.

    Args:
        source: one that nobody writes to meanwhile: what comes later is not moved.
        target: one without rows.

    Returns:
        How many rows were moved.

    Raises:
        InputError: `target` is not PostgreSQL, or not new.
        StoreError: what was moved is not whole.
    """
    with source.reading() as old, target.writing() as new:
        if new.dialect.name != "postgresql":
            raise InputError(
                f"{target.name} is not PostgreSQL.", "Set LMFT_DATABASE_URL to a new database."
            )
        _require_new(target, new)
        # These rows have been through the rules once; some rules are about how rows come to be.
        _triggers(new, "DISABLE")
        new.execute(delete(projects))
        n_rows = sum(_copy(table, old, new) for table in metadata.sorted_tables)
        _triggers(new, "ENABLE")
        wrong = invariants(new)
        if wrong:
            raise StoreError(
                f"{source.name} is not whole: {wrong[0]}. Nothing was moved.",
                "`lmft db check` shows all of it.",
            )
        return n_rows


def _require_new(target: Store, new: Connection) -> None:
    for table in metadata.sorted_tables:
        allowed = 1 if table is projects else 0
        if (new.scalar(select(func.count()).select_from(table)) or 0) > allowed:
            raise InputError(f"{target.name} holds {table.name} already.", "Name a new database.")


def _triggers(new: Connection, what: str) -> None:
    for table in metadata.sorted_tables:
        new.execute(text(f"ALTER TABLE {table.name} {what} TRIGGER USER"))


def _copy(table: Table, old: Connection, new: Connection) -> int:
    """In the order of their numbers, so that what a row refers to is there before it."""
    n_rows = 0
    rows = old.execute(select(table).order_by(*table.primary_key))
    for batch in rows.mappings().partitions(_BATCH):
        new.execute(insert(table), [dict(row) for row in batch])
        n_rows += len(batch)
    if table.dialect_options["sqlite"]["autoincrement"]:
        _go_on(table, old, new)
    return n_rows


def _go_on(table: Table, old: Connection, new: Connection) -> None:
    """A number is never given twice, also where the row that had it is gone."""
    given = text("SELECT seq FROM sqlite_sequence WHERE name = :name")
    last = old.scalar(given, {"name": table.name})
    if last:
        (column,) = table.primary_key
        sequence = func.pg_get_serial_sequence(table.name, column.name)
        new.execute(select(func.setval(sequence, last)))
