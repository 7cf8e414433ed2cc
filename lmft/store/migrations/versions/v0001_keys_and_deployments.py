"""Keys with scopes, models and limits; deployments."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_KEYS_CHANGE = """
CREATE TRIGGER keys_are_only_revoked BEFORE UPDATE ON keys
WHEN OLD.revoked_at IS NOT NULL OR NEW.revoked_at IS NULL
  OR (NEW.id, NEW.name, NEW.sha256, NEW.ending, NEW.created_at)
     IS NOT (OLD.id, OLD.name, OLD.sha256, OLD.ending, OLD.created_at)
  OR (NEW.requests_per_minute, NEW.tokens_per_minute, NEW.concurrent)
     IS NOT (OLD.requests_per_minute, OLD.tokens_per_minute, OLD.concurrent)
BEGIN SELECT RAISE(ABORT, 'a key can only be revoked'); END
"""

# What is over stays over; only an adapter's removal is noted on any row.
_DEPLOYMENTS_CHANGE = """
CREATE TRIGGER deployments_go_forward BEFORE UPDATE ON deployments
WHEN (NEW.id, NEW.alias, NEW.adapter, NEW.reason, NEW.wanted_at)
     IS NOT (OLD.id, OLD.alias, OLD.adapter, OLD.reason, OLD.wanted_at)
  OR (OLD.state, NEW.state) NOT IN (VALUES
     ('wanted', 'superseded'), ('wanted', 'live'), ('wanted', 'failed'), ('wanted', 'forgotten'),
     ('superseded', 'live'), ('superseded', 'failed'), ('superseded', 'forgotten'),
     ('live', 'retired'), ('live', 'forgotten'),
     ('retired', 'forgotten'), ('failed', 'forgotten'))
BEGIN SELECT RAISE(ABORT, 'a deployment only goes forward'); END
"""


def upgrade() -> None:
    op.create_table(
        "keys",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(64), sa.CheckConstraint("length(name) > 0"), nullable=False),
        sa.Column(
            "sha256", sa.String(64), sa.CheckConstraint("length(sha256) = 64"), nullable=False
        ),
        sa.Column("ending", sa.String(4), nullable=False),
        sa.Column("requests_per_minute", sa.Integer, sa.CheckConstraint("requests_per_minute > 0")),
        sa.Column("tokens_per_minute", sa.Integer, sa.CheckConstraint("tokens_per_minute > 0")),
        sa.Column("concurrent", sa.Integer, sa.CheckConstraint("concurrent > 0")),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("revoked_at", sa.BigInteger),
        # A number is never given twice, so the greatest one says whether any key was ever made.
        sqlite_autoincrement=True,
    )
    op.create_index("keys_by_hash", "keys", ["sha256"], unique=True)
    _unique_where("one_valid_key_a_name", "keys", "name", "revoked_at IS NULL")
    op.create_table(
        "key_scopes",
        sa.Column("key", sa.Integer, sa.ForeignKey("keys.id"), primary_key=True),
        sa.Column(
            "scope",
            sa.String(20),
            sa.CheckConstraint(
                "scope IN ('inference', 'metrics', 'models:read', 'models:write', 'pages')"
            ),
            primary_key=True,
        ),
    )
    op.create_table(
        "key_models",
        sa.Column("key", sa.Integer, sa.ForeignKey("keys.id"), primary_key=True),
        sa.Column(
            "model", sa.String(300), sa.CheckConstraint("length(model) > 0"), primary_key=True
        ),
    )
    op.create_table(
        "deployments",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("alias", sa.String(300), sa.CheckConstraint("length(alias) > 0"), nullable=False),
        sa.Column(
            "adapter", sa.String(300), sa.CheckConstraint("length(adapter) > 0"), nullable=False
        ),
        sa.Column("reason", sa.String(300), nullable=False),
        sa.Column(
            "state",
            sa.String(12),
            sa.CheckConstraint(
                "state IN ('wanted', 'superseded', 'live', 'failed', 'retired', 'forgotten')"
            ),
            nullable=False,
        ),
        sa.Column("detail", sa.String(1000), nullable=False, server_default=""),
        sa.Column("wanted_at", sa.BigInteger, nullable=False),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    for state in ("wanted", "live"):
        _unique_where(f"one_{state}_an_alias", "deployments", "alias", f"state = '{state}'")
    if op.get_bind().dialect.name == "sqlite":
        op.execute(_KEYS_CHANGE)
        op.execute(_DEPLOYMENTS_CHANGE)
        for table in ("keys", "deployments"):
            _never("DELETE", table)
        for table in ("key_scopes", "key_models"):
            _never("DELETE", table)
            _never("UPDATE", table)


def _unique_where(name: str, table: str, column: str, condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, table, [column], unique=True, sqlite_where=where, postgresql_where=where)


def _never(verb: str, table: str) -> None:
    op.execute(
        f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, 'rows of {table} are kept as they are'); END"
    )
