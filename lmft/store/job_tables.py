"""The tables of files, uploads, jobs and what belongs to them; see lmft.store.tables.

`number` orders rows, `id` is what people see. JSON is kept as text, so that both databases and
every reader see the same bytes.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from lmft.store import columns
from lmft.store.tables import metadata, one_of

PURPOSES = ("fine-tune", "fine-tune-results", "assistants", "batch", "user_data", "evals", "vision")
STATUSES = (
    "validating_files",
    "queued",
    "running",
    "paused",
    "succeeded",
    "failed",
    "cancelled",
)
ENDED = ("succeeded", "failed", "cancelled")
WISHES = ("", "pause", "cancel")
METHODS = ("sft", "dpo", "kto")
LEVELS = ("info", "warn", "error")
UPLOAD_STATUSES = ("pending", "completed", "cancelled", "expired")
# How an attempt ended: `lost` without a word (a kill, a power cut), the others as they say.
OUTCOMES = ("done", "failed", "paused", "cancelled", "stopped", "lost")


files = Table(
    "files",
    metadata,
    columns.number(),
    columns.public_id(),
    columns.project(),
    Column("purpose", String(30), CheckConstraint(one_of("purpose", PURPOSES)), nullable=False),
    Column("filename", String(255), nullable=False),
    Column("bytes", BigInteger, CheckConstraint("bytes >= 0"), nullable=False),
    Column("sha256", String(64), CheckConstraint("length(sha256) = 64"), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("deleted_at", BigInteger),
    sqlite_autoincrement=True,
)
Index("files_of_project", files.c.project, files.c.number)
Index("files_by_content", files.c.sha256)

uploads = Table(
    "uploads",
    metadata,
    columns.number(),
    columns.public_id(),
    columns.project(),
    Column("purpose", String(30), CheckConstraint(one_of("purpose", PURPOSES)), nullable=False),
    Column("filename", String(255), nullable=False),
    Column("bytes", BigInteger, CheckConstraint("bytes >= 0"), nullable=False),
    Column("mime_type", String(255), nullable=False),
    Column(
        "status", String(12), CheckConstraint(one_of("status", UPLOAD_STATUSES)), nullable=False
    ),
    Column("file", String(40), ForeignKey("files.id")),
    Column("file_seconds", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    CheckConstraint("(status = 'completed') = (file IS NOT NULL)", name="a_file_once_completed"),
    sqlite_autoincrement=True,
)

upload_parts = Table(
    "upload_parts",
    metadata,
    columns.number(),
    columns.public_id(),
    Column("upload", String(40), ForeignKey("uploads.id"), nullable=False),
    Column("bytes", BigInteger, CheckConstraint("bytes >= 0"), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)
Index("parts_of_upload", upload_parts.c.upload)

# `request` is the body as it was sent, `recipe` the tree that it came to, without data;
# `report` what validation found (corpus and plan), `resolved` the hyperparameters as trained.
jobs = Table(
    "jobs",
    metadata,
    columns.number(),
    columns.public_id(),
    columns.project(),
    Column("key", Integer, ForeignKey("keys.id")),
    Column("status", String(16), CheckConstraint(one_of("status", STATUSES)), nullable=False),
    Column("wish", String(8), CheckConstraint(one_of("wish", WISHES)), nullable=False),
    Column("hold", Integer, CheckConstraint("hold IN (0, 1)"), nullable=False),
    Column("priority", Integer, CheckConstraint("priority BETWEEN -10 AND 10"), nullable=False),
    Column("method", String(8), CheckConstraint(one_of("method", METHODS)), nullable=False),
    Column("model", String(300), nullable=False),
    Column("suffix", String(64)),
    Column("seed", BigInteger, nullable=False),
    Column("adapter", String(300), nullable=False, unique=True),
    Column("training_file", String(40), nullable=False),
    Column("validation_file", String(40)),
    Column("files", Text, nullable=False),
    Column("request", Text, nullable=False),
    Column("recipe", Text, nullable=False),
    Column("integrations", Text, nullable=False),
    Column("report", Text),
    Column("resolved", Text),
    Column("attempt", Integer, CheckConstraint("attempt >= 0"), nullable=False),
    Column("step", Integer, CheckConstraint("step >= 0"), nullable=False),
    Column("steps", Integer),
    Column("trained_tokens", BigInteger),
    Column("estimated_finish", BigInteger),
    Column("fine_tuned_model", String(300)),
    Column("result_file", String(40), ForeignKey("files.id")),
    Column("error_code", String(64)),
    Column("error_message", Text),
    Column("error_param", String(64)),
    Column("created_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("finished_at", BigInteger),
    CheckConstraint(f"({one_of('status', ENDED)}) = (finished_at IS NOT NULL)", name="ends_once"),
    CheckConstraint("(status = 'failed') = (error_code IS NOT NULL)", name="failed_says_why"),
    CheckConstraint(
        "(status = 'succeeded') = (fine_tuned_model IS NOT NULL)", name="succeeded_names_a_model"
    ),
    sqlite_autoincrement=True,
)
Index("jobs_of_project", jobs.c.project, jobs.c.number)
Index("jobs_by_status", jobs.c.status, jobs.c.priority, jobs.c.number)

job_metadata = Table(
    "job_metadata",
    metadata,
    Column("job", Integer, ForeignKey("jobs.number"), primary_key=True),
    Column("key", String(64), CheckConstraint("length(key) > 0"), primary_key=True),
    Column("value", String(512), nullable=False),
)
Index("job_metadata_by_value", job_metadata.c.key, job_metadata.c.value)

attempts = Table(
    "attempts",
    metadata,
    Column("job", Integer, ForeignKey("jobs.number"), primary_key=True),
    Column("attempt", Integer, CheckConstraint("attempt > 0"), primary_key=True),
    Column("worker", String(64), nullable=False),
    Column("step", Integer),
    Column("started_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("outcome", String(12), CheckConstraint(one_of("outcome", OUTCOMES))),
    Column("detail", Text, nullable=False, server_default=""),
    CheckConstraint("(ended_at IS NULL) = (outcome IS NULL)", name="ends_with_an_outcome"),
)
for _what in ("job", "worker"):
    Index(
        f"one_active_attempt_a_{_what}",
        attempts.c[_what],
        unique=True,
        sqlite_where=text("ended_at IS NULL"),
        postgresql_where=text("ended_at IS NULL"),
    )

# `attempt` is null for what the gateway or a validation says.
events = Table(
    "events",
    metadata,
    columns.number(),
    columns.public_id(),
    Column("job", Integer, ForeignKey("jobs.number"), nullable=False),
    Column("attempt", Integer),
    Column("level", String(5), CheckConstraint(one_of("level", LEVELS)), nullable=False),
    Column("type", String(8), CheckConstraint("type IN ('message', 'metrics')"), nullable=False),
    Column("message", Text, nullable=False),
    Column("data", Text),
    Column("created_at", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)
Index("events_of_job", events.c.job, events.c.number)

checkpoints = Table(
    "checkpoints",
    metadata,
    columns.number(),
    columns.public_id(),
    Column("job", Integer, ForeignKey("jobs.number"), nullable=False),
    Column("step", Integer, CheckConstraint("step > 0"), nullable=False),
    Column("model", String(300), nullable=False),
    Column("metrics", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("job", "step", name="one_checkpoint_a_step"),
    sqlite_autoincrement=True,
)

# The answer to a request with an Idempotency-Key, written in the transaction of what it made.
idempotency = Table(
    "idempotency",
    metadata,
    Column("project", Integer, ForeignKey("projects.id"), primary_key=True),
    Column("key", String(255), CheckConstraint("length(key) > 0"), primary_key=True),
    Column("request_sha256", String(64), nullable=False),
    Column("made", String(40), nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

webhooks = Table(
    "webhooks",
    metadata,
    columns.number(),
    columns.public_id(),
    columns.project(),
    Column("url", String(2000), nullable=False),
    Column("secret", String(100), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("deleted_at", BigInteger),
    sqlite_autoincrement=True,
)

deliveries = Table(
    "deliveries",
    metadata,
    columns.number(),
    columns.public_id(),
    Column("webhook", Integer, ForeignKey("webhooks.number"), nullable=False),
    Column("job", Integer, ForeignKey("jobs.number"), nullable=False),
    Column("type", String(40), nullable=False),
    Column("tries", Integer, CheckConstraint("tries >= 0"), nullable=False),
    Column("next_at", BigInteger),
    Column("delivered_at", BigInteger),
    Column("detail", Text, nullable=False, server_default=""),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("webhook", "job", "type", name="said_once"),
    sqlite_autoincrement=True,
)
Index("deliveries_due", deliveries.c.next_at)
