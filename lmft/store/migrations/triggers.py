"""Rules on how a row may change, said once for SQLite and PostgreSQL.

A broken rule is an IntegrityError for the caller in both.
"""

from __future__ import annotations

from alembic import op


def changed(*columns: str) -> str:
    """A condition: any of `columns` is not what it was."""
    differs = "IS NOT" if _sqlite() else "IS DISTINCT FROM"
    old, new = (", ".join(f"{row}.{column}" for column in columns) for row in ("OLD", "NEW"))
    return f"({old}) {differs} ({new})"


def refuse(verb: str, table: str, why: str, *, when: str = "", name: str = "") -> None:
    """Make `verb` (INSERT, UPDATE, DELETE) on a row of `table` fail, saying `why`.

    Args:
        when: only where this holds, in terms of OLD and NEW.
        name: of the trigger [default: by table and verb].
    """
    if not name:
        name = f"{table}_no_{verb.lower()}" if not when else f"{table}_{verb.lower()}_rule"
    if _sqlite():
        condition = f"WHEN {when} " if when else ""
        op.execute(
            f"CREATE TRIGGER {name} BEFORE {verb} ON {table} {condition}"
            f"BEGIN SELECT RAISE(ABORT, '{why}'); END"
        )
        return
    row = "OLD" if verb == "DELETE" else "NEW"
    op.execute(
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF {when or 'true'} THEN RAISE EXCEPTION '{why}' "
        "USING ERRCODE = 'integrity_constraint_violation'; END IF; "
        f"RETURN {row}; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {name} BEFORE {verb} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()"
    )


def drop(name: str, table: str) -> None:
    """Take the trigger back, so that a step can rewrite the table."""
    if _sqlite():
        op.execute(f"DROP TRIGGER {name}")
        return
    op.execute(f"DROP TRIGGER {name} ON {table}")
    op.execute(f"DROP FUNCTION {name}()")


def _sqlite() -> bool:
    return bool(op.get_bind().dialect.name == "sqlite")
