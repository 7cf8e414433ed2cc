"""Projects; files, uploads, fine-tuning jobs with their attempts and events; webhooks."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from lmft.store.migrations.triggers import changed, drop, refuse

revision = "0002"
down_revision = "0001"

_SCOPES = "files inference jobs metrics models:read models:write pages stories"
_PURPOSES = "fine-tune fine-tune-results assistants batch user_data evals vision"
_STATUSES = "validating_files queued running paused succeeded failed cancelled"
_ENDED = "succeeded failed cancelled"
_GOES_TO = {
    "validating_files": "queued paused failed cancelled",
    "queued": "running paused failed cancelled",
    "running": "queued paused succeeded failed cancelled",
    "paused": "validating_files queued failed cancelled",
}


def upgrade() -> None:
    _projects()
    _keys()
    _files()
    _jobs()
    _webhooks()


def _projects() -> None:
    projects = op.create_table(
        "projects",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column(
            "name",
            sa.String(64),
            sa.CheckConstraint("length(name) > 0"),
            nullable=False,
            unique=True,
        ),
        sa.Column("disk_bytes", sa.BigInteger, sa.CheckConstraint("disk_bytes > 0")),
        sa.Column("active_jobs", sa.Integer, sa.CheckConstraint("active_jobs > 0")),
        sa.Column(
            "training_tokens_per_day",
            sa.BigInteger,
            sa.CheckConstraint("training_tokens_per_day > 0"),
        ),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    op.bulk_insert(projects, [{"name": "me", "created_at": int(time.time())}])
    refuse("DELETE", "projects", "rows of projects are kept as they are")
    refuse("UPDATE", "projects", "a project keeps its name", when=changed("id", "name"))


def _keys() -> None:
    """Keys belong to a project, and have limits of jobs; there are three more scopes."""
    drop("keys_are_only_revoked", "keys")
    # SQLite adds no column that refers to a table and is never null; Alembic none that refers.
    op.execute("ALTER TABLE keys ADD COLUMN project INTEGER REFERENCES projects (id)")
    op.add_column("keys", sa.Column("active_jobs", sa.Integer))
    op.add_column("keys", sa.Column("jobs_per_day", sa.Integer))
    op.execute("UPDATE keys SET project = 1")
    refuse("INSERT", "keys", "a key belongs to a project", when="NEW.project IS NULL")
    same = (
        "id name sha256 ending requests_per_minute tokens_per_minute concurrent created_at "
        "project active_jobs jobs_per_day"
    )
    refuse(
        "UPDATE",
        "keys",
        "a key can only be revoked",
        when=f"OLD.revoked_at IS NOT NULL OR NEW.revoked_at IS NULL OR {changed(*same.split())}",
    )
    _scopes()


def _scopes() -> None:
    allowed = _one_of("scope", _SCOPES)
    if op.get_bind().dialect.name != "sqlite":
        op.drop_constraint("key_scopes_scope_check", "key_scopes")
        op.create_check_constraint("key_scopes_scope_check", "key_scopes", allowed)
        return
    # SQLite changes no check of a table that is there.
    op.rename_table("key_scopes", "key_scopes_before")
    op.create_table(
        "key_scopes",
        sa.Column("key", sa.Integer, sa.ForeignKey("keys.id"), primary_key=True),
        sa.Column("scope", sa.String(20), sa.CheckConstraint(allowed), primary_key=True),
    )
    op.execute("INSERT INTO key_scopes SELECT key, scope FROM key_scopes_before")
    op.drop_table("key_scopes_before")
    _kept("key_scopes")


def _files() -> None:
    op.create_table(
        "files",
        *_begins(project=True),
        sa.Column(
            "purpose",
            sa.String(30),
            sa.CheckConstraint(_one_of("purpose", _PURPOSES)),
            nullable=False,
        ),
        sa.Column("filename", sa.String(255), nullable=False),
        sa.Column("bytes", sa.BigInteger, sa.CheckConstraint("bytes >= 0"), nullable=False),
        sa.Column(
            "sha256", sa.String(64), sa.CheckConstraint("length(sha256) = 64"), nullable=False
        ),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("deleted_at", sa.BigInteger),
        sqlite_autoincrement=True,
    )
    op.create_index("files_of_project", "files", ["project", "number"])
    op.create_index("files_by_content", "files", ["sha256"])
    same = "number id project purpose filename bytes sha256 created_at expires_at"
    refuse(
        "UPDATE",
        "files",
        "a file can only be deleted",
        when=f"OLD.deleted_at IS NOT NULL OR NEW.deleted_at IS NULL OR {changed(*same.split())}",
    )
    refuse("DELETE", "files", "rows of files are kept as they are")
    op.create_table(
        "uploads",
        *_begins(project=True),
        sa.Column(
            "purpose",
            sa.String(30),
            sa.CheckConstraint(_one_of("purpose", _PURPOSES)),
            nullable=False,
        ),
        sa.Column("filename", sa.String(255), nullable=False),
        sa.Column("bytes", sa.BigInteger, sa.CheckConstraint("bytes >= 0"), nullable=False),
        sa.Column("mime_type", sa.String(255), nullable=False),
        sa.Column(
            "status",
            sa.String(12),
            sa.CheckConstraint(_one_of("status", "pending completed cancelled expired")),
            nullable=False,
        ),
        sa.Column("file", sa.String(40), sa.ForeignKey("files.id")),
        sa.Column("file_seconds", sa.BigInteger),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.CheckConstraint(
            "(status = 'completed') = (file IS NOT NULL)", name="a_file_once_completed"
        ),
        sqlite_autoincrement=True,
    )
    refuse("UPDATE", "uploads", "an upload ends once", when="OLD.status <> 'pending'")
    op.create_table(
        "upload_parts",
        *_begins(),
        sa.Column("upload", sa.String(40), sa.ForeignKey("uploads.id"), nullable=False),
        sa.Column("bytes", sa.BigInteger, sa.CheckConstraint("bytes >= 0"), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("parts_of_upload", "upload_parts", ["upload"])


def _jobs() -> None:
    op.create_table(
        "jobs",
        *_begins(project=True),
        sa.Column("key", sa.Integer, sa.ForeignKey("keys.id")),
        sa.Column(
            "status",
            sa.String(16),
            sa.CheckConstraint(_one_of("status", _STATUSES)),
            nullable=False,
        ),
        sa.Column(
            "wish",
            sa.String(8),
            sa.CheckConstraint("wish IN ('', 'pause', 'cancel')"),
            nullable=False,
        ),
        sa.Column("hold", sa.Integer, sa.CheckConstraint("hold IN (0, 1)"), nullable=False),
        sa.Column(
            "priority",
            sa.Integer,
            sa.CheckConstraint("priority BETWEEN -10 AND 10"),
            nullable=False,
        ),
        sa.Column(
            "method",
            sa.String(8),
            sa.CheckConstraint(_one_of("method", "sft dpo kto")),
            nullable=False,
        ),
        sa.Column("model", sa.String(300), nullable=False),
        sa.Column("suffix", sa.String(64)),
        sa.Column("seed", sa.BigInteger, nullable=False),
        sa.Column("adapter", sa.String(300), nullable=False, unique=True),
        sa.Column("training_file", sa.String(40), nullable=False),
        sa.Column("validation_file", sa.String(40)),
        sa.Column("files", sa.Text, nullable=False),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("recipe", sa.Text, nullable=False),
        sa.Column("integrations", sa.Text, nullable=False),
        sa.Column("report", sa.Text),
        sa.Column("resolved", sa.Text),
        sa.Column("attempt", sa.Integer, sa.CheckConstraint("attempt >= 0"), nullable=False),
        sa.Column("step", sa.Integer, sa.CheckConstraint("step >= 0"), nullable=False),
        sa.Column("steps", sa.Integer),
        sa.Column("trained_tokens", sa.BigInteger),
        sa.Column("estimated_finish", sa.BigInteger),
        sa.Column("fine_tuned_model", sa.String(300)),
        sa.Column("result_file", sa.String(40), sa.ForeignKey("files.id")),
        sa.Column("error_code", sa.String(64)),
        sa.Column("error_message", sa.Text),
        sa.Column("error_param", sa.String(64)),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("started_at", sa.BigInteger),
        sa.Column("finished_at", sa.BigInteger),
        sa.CheckConstraint(
            f"({_one_of('status', _ENDED)}) = (finished_at IS NOT NULL)", name="ends_once"
        ),
        sa.CheckConstraint(
            "(status = 'failed') = (error_code IS NOT NULL)", name="failed_says_why"
        ),
        sa.CheckConstraint(
            "(status = 'succeeded') = (fine_tuned_model IS NOT NULL)",
            name="succeeded_names_a_model",
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("jobs_of_project", "jobs", ["project", "number"])
    op.create_index("jobs_by_status", "jobs", ["status", "priority", "number"])
    _jobs_change()
    op.create_table(
        "job_metadata",
        sa.Column("job", sa.Integer, sa.ForeignKey("jobs.number"), primary_key=True),
        sa.Column("key", sa.String(64), sa.CheckConstraint("length(key) > 0"), primary_key=True),
        sa.Column("value", sa.String(512), nullable=False),
    )
    op.create_index("job_metadata_by_value", "job_metadata", ["key", "value"])
    _kept("job_metadata")
    _attempts()
    _events()


def _jobs_change() -> None:
    same = (
        "number id project key hold method model suffix seed adapter training_file "
        "validation_file files request recipe integrations created_at"
    )
    ended = _one_of("OLD.status", _ENDED)
    pairs = ", ".join(
        f"('{before}', '{after}')"
        for before, afters in _GOES_TO.items()
        for after in (before, *afters.split())
    )
    refuse(
        "UPDATE",
        "jobs",
        "a job goes by its states, keeps what it is, ends once, and a cancel stays",
        when=f"{changed(*same.split())} OR {ended} "
        f"OR (OLD.status, NEW.status) NOT IN (VALUES {pairs}) "
        "OR (OLD.wish = 'cancel' AND NEW.wish <> 'cancel') "
        "OR (OLD.wish = 'cancel' AND NEW.status IN ('queued', 'paused', 'succeeded') "
        "AND NEW.status <> OLD.status) "
        "OR NEW.attempt < OLD.attempt OR NEW.attempt > OLD.attempt + 1",
    )
    refuse("DELETE", "jobs", "rows of jobs are kept as they are")


def _attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column("job", sa.Integer, sa.ForeignKey("jobs.number"), primary_key=True),
        sa.Column("attempt", sa.Integer, sa.CheckConstraint("attempt > 0"), primary_key=True),
        sa.Column("worker", sa.String(64), nullable=False),
        sa.Column("step", sa.Integer),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column(
            "outcome",
            sa.String(12),
            sa.CheckConstraint(_one_of("outcome", "done failed paused cancelled stopped lost")),
        ),
        sa.Column("detail", sa.Text, nullable=False, server_default=""),
        sa.CheckConstraint("(ended_at IS NULL) = (outcome IS NULL)", name="ends_with_an_outcome"),
    )
    for what in ("job", "worker"):
        where = sa.text("ended_at IS NULL")
        op.create_index(
            f"one_active_attempt_a_{what}",
            "attempts",
            [what],
            unique=True,
            sqlite_where=where,
            postgresql_where=where,
        )
    refuse("DELETE", "attempts", "rows of attempts are kept as they are")
    refuse("UPDATE", "attempts", "an attempt ends once", when="OLD.ended_at IS NOT NULL")


def _events() -> None:
    op.create_table(
        "events",
        *_begins(),
        sa.Column("job", sa.Integer, sa.ForeignKey("jobs.number"), nullable=False),
        sa.Column("attempt", sa.Integer),
        sa.Column(
            "level",
            sa.String(5),
            sa.CheckConstraint(_one_of("level", "info warn error")),
            nullable=False,
        ),
        sa.Column(
            "type",
            sa.String(8),
            sa.CheckConstraint("type IN ('message', 'metrics')"),
            nullable=False,
        ),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("data", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("events_of_job", "events", ["job", "number"])
    _kept("events")
    refuse(
        "INSERT",
        "events",
        "an attempt that is over says nothing more",
        when="NEW.attempt IS NOT NULL "
        "AND NEW.attempt <> (SELECT attempt FROM jobs WHERE number = NEW.job)",
    )
    op.create_table(
        "checkpoints",
        *_begins(),
        sa.Column("job", sa.Integer, sa.ForeignKey("jobs.number"), nullable=False),
        sa.Column("step", sa.Integer, sa.CheckConstraint("step > 0"), nullable=False),
        sa.Column("model", sa.String(300), nullable=False),
        sa.Column("metrics", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("job", "step", name="one_checkpoint_a_step"),
        sqlite_autoincrement=True,
    )
    _kept("checkpoints")
    op.create_table(
        "idempotency",
        sa.Column("project", sa.Integer, sa.ForeignKey("projects.id"), primary_key=True),
        sa.Column("key", sa.String(255), sa.CheckConstraint("length(key) > 0"), primary_key=True),
        sa.Column("request_sha256", sa.String(64), nullable=False),
        sa.Column("made", sa.String(40), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )


def _webhooks() -> None:
    op.create_table(
        "webhooks",
        *_begins(project=True),
        sa.Column("url", sa.String(2000), nullable=False),
        sa.Column("secret", sa.String(100), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("deleted_at", sa.BigInteger),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "deliveries",
        *_begins(),
        sa.Column("webhook", sa.Integer, sa.ForeignKey("webhooks.number"), nullable=False),
        sa.Column("job", sa.Integer, sa.ForeignKey("jobs.number"), nullable=False),
        sa.Column("type", sa.String(40), nullable=False),
        sa.Column("tries", sa.Integer, sa.CheckConstraint("tries >= 0"), nullable=False),
        sa.Column("next_at", sa.BigInteger),
        sa.Column("delivered_at", sa.BigInteger),
        sa.Column("detail", sa.Text, nullable=False, server_default=""),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("webhook", "job", "type", name="said_once"),
        sqlite_autoincrement=True,
    )
    op.create_index("deliveries_due", "deliveries", ["next_at"])


def _begins(*, project: bool = False) -> Sequence[sa.Column[Any]]:
    columns: list[sa.Column[Any]] = [
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("id", sa.String(40), nullable=False, unique=True),
    ]
    if project:
        columns.append(
            sa.Column("project", sa.Integer, sa.ForeignKey("projects.id"), nullable=False)
        )
    return columns


def _one_of(column: str, values: str) -> str:
    return f"{column} IN ({', '.join(repr(value) for value in values.split())})"


def _kept(table: str) -> None:
    for verb in ("DELETE", "UPDATE"):
        refuse(verb, table, f"rows of {table} are kept as they are")
