"""Bring a database up to this code's tables: numbered Alembic steps, all or nothing."""

from __future__ import annotations

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
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    steps = ScriptDirectory.from_config(config)
    present = MigrationContext.configure(connection).get_current_revision()
    if present == steps.get_current_head():
        return
    if present is not None and present not in {step.revision for step in steps.walk_revisions()}:
        raise NewerDatabaseError(present)
    command.upgrade(config, "head")
