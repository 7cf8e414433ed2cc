"""Keys with scopes, models and limits; deployments."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from lmft.store.migrations.triggers import changed, refuse

revision = "0001"
down_revision = None

_KEY = "id name sha256 ending created_at requests_per_minute tokens_per_minute concurrent"
_DEPLOYMENT = "id alias adapter reason wanted_at"
# What is over stays over; only an adapter's removal is noted on any row.
_FORWARD = """
('wanted', 'superseded'), ('wanted', 'live'), ('wanted', 'failed'), ('wanted', 'forgotten'),
('superseded', 'live'), ('superseded', 'failed'), ('superseded', 'forgotten'),
('live', 'retired'), ('live', 'forgotten'),
('retired', 'forgotten'), ('failed', 'forgotten')"""


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
    refuse(
        "UPDATE",
        "keys",
        "a key can only be revoked",
        when=f"OLD.revoked_at IS NOT NULL OR NEW.revoked_at IS NULL OR {changed(*_KEY.split())}",
        name="keys_are_only_revoked",
    )
    refuse(
        "UPDATE",
        "deployments",
        "a deployment only goes forward",
        when=f"{changed(*_DEPLOYMENT.split())} "
        f"OR (OLD.state, NEW.state) NOT IN (VALUES {_FORWARD})",
        name="deployments_go_forward",
    )
    for table in ("keys", "deployments"):
        _never("DELETE", table)
    for table in ("key_scopes", "key_models"):
        _never("DELETE", table)
        _never("UPDATE", table)


def _unique_where(name: str, table: str, column: str, condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, table, [column], unique=True, sqlite_where=where, postgresql_where=where)


def _never(verb: str, table: str) -> None:
    refuse(verb, table, f"rows of {table} are kept as they are")
