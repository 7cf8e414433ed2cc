"""The tables as the newest migration leaves them; a test compares the two.

Times are whole Unix seconds. Checks and partial indexes say what can be true of a row; triggers
(in the migrations, since SQLAlchemy has no word for them) say how a row may change.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    text,
)

SCOPES = (
    "files",
    "inference",
    "jobs",
    "metrics",
    "models:read",
    "models:write",
    "pages",
    "stories",
)
STATES = ("wanted", "superseded", "live", "failed", "retired", "forgotten")

metadata = MetaData()


def one_of(column: str, values: tuple[str, ...]) -> str:
    return f"{column} IN ({', '.join(repr(value) for value in values)})"


# The first is `me`: whoever says no other, and every key from before there were projects.
projects = Table(
    "projects",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(64), CheckConstraint("length(name) > 0"), nullable=False, unique=True),
    Column("disk_bytes", BigInteger, CheckConstraint("disk_bytes > 0")),
    Column("active_jobs", Integer, CheckConstraint("active_jobs > 0")),
    Column("training_tokens_per_day", BigInteger, CheckConstraint("training_tokens_per_day > 0")),
    Column("created_at", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

keys = Table(
    "keys",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(64), CheckConstraint("length(name) > 0"), nullable=False),
    Column("sha256", String(64), CheckConstraint("length(sha256) = 64"), nullable=False),
    Column("ending", String(4), nullable=False),
    Column("requests_per_minute", Integer, CheckConstraint("requests_per_minute > 0")),
    Column("tokens_per_minute", Integer, CheckConstraint("tokens_per_minute > 0")),
    Column("concurrent", Integer, CheckConstraint("concurrent > 0")),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    Column("project", Integer, ForeignKey("projects.id")),
    Column("active_jobs", Integer),
    Column("jobs_per_day", Integer),
    sqlite_autoincrement=True,
)
Index("keys_by_hash", keys.c.sha256, unique=True)
# A name may be used again once its key is revoked.
Index(
    "one_valid_key_a_name",
    keys.c.name,
    unique=True,
    sqlite_where=text("revoked_at IS NULL"),
    postgresql_where=text("revoked_at IS NULL"),
)

key_scopes = Table(
    "key_scopes",
    metadata,
    Column("key", Integer, ForeignKey("keys.id"), primary_key=True),
    Column("scope", String(20), CheckConstraint(one_of("scope", SCOPES)), primary_key=True),
)

# No row for a key: it may use every model.
key_models = Table(
    "key_models",
    metadata,
    Column("key", Integer, ForeignKey("keys.id"), primary_key=True),
    Column("model", String(300), CheckConstraint("length(model) > 0"), primary_key=True),
)

deployments = Table(
    "deployments",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("alias", String(300), CheckConstraint("length(alias) > 0"), nullable=False),
    Column("adapter", String(300), CheckConstraint("length(adapter) > 0"), nullable=False),
    Column("reason", String(300), nullable=False),
    Column("state", String(12), CheckConstraint(one_of("state", STATES)), nullable=False),
    Column("detail", String(1000), nullable=False, server_default=""),
    Column("wanted_at", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)
for _state in ("wanted", "live"):
    Index(
        f"one_{_state}_an_alias",
        deployments.c.alias,
        unique=True,
        sqlite_where=text(f"state = '{_state}'"),
        postgresql_where=text(f"state = '{_state}'"),
    )
