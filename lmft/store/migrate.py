"""Bring a database up to this code's tables: numbered Alembic steps, all or nothing."""

from __future__ import annotations

import functools
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

_MIGRATIONS = Path(__file__).parent / "migrations"


class NewerDatabaseError(Exception):
    """The database has had a step that this code does not know."""


def migrate(connection: Connection) -> None:
    """Run what steps are missing, inside the transaction that `connection` is in.

    Raises:
        NewerDatabaseError: nothing was changed.
    """
    present = MigrationContext.configure(connection).get_current_revision()
    newest, *older = _steps()
    if present == newest:
        return
    if present is not None and present not in older:
        raise NewerDatabaseError(present)
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    command.upgrade(config, "head")


@functools.cache
def _steps() -> tuple[str, ...]:
    """What this code knows, newest first; to look means to import them all."""
    steps = ScriptDirectory(str(_MIGRATIONS)).walk_revisions()
    return tuple(step.revision for step in steps)
