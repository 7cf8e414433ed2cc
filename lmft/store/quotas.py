"""What a project or a key has used, and the refusal of what would be more than it may.

The `require_` functions run inside the transaction that then makes what was asked for, so that of
two requests at once the second one sees the first.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, or_, select

from lmft.errors import QuotaError
from lmft.store.job_tables import ENDED, events, files, jobs, upload_parts, uploads
from lmft.store.tables import keys, projects

_DAY_SECONDS = 86_400
_MIB = 2**20


@dataclass(frozen=True)
class Usage:
    """What a project uses now.

    Attributes:
        disk_bytes: of its files, equal ones once, and of the parts of uploads not yet ended.
        active_jobs: fine-tuning jobs that have not ended; paused ones too.
        training_tokens: of jobs that are under way or ended in the last 24 hours, however.
    """

    disk_bytes: int
    active_jobs: int
    training_tokens: int


def usage(connection: Connection, project_id: int) -> Usage:
    return Usage(
        _disk_bytes(connection, project_id),
        _active_jobs(connection, jobs.c.project == project_id),
        _training_tokens(connection, project_id),
    )


def require_disk(connection: Connection, project_id: int, more_bytes: int = 0) -> None:
    """Raises QuotaError where the project's files and `more_bytes` are more than it may keep.

    Asked after the rows of a new file are written, with no more bytes, it counts content that
    the project has already only once.
    """
    limits = _limits(connection, project_id)
    if limits.disk_bytes is None:
        return
    used = _disk_bytes(connection, project_id) + more_bytes
    if used > limits.disk_bytes:
        raise QuotaError(
            f"Project {limits.name} may keep {limits.disk_bytes / _MIB:,.1f} MiB of files, and "
            f"this would make it {used / _MIB:,.1f}.",
            "Delete files that are needed no more, or ask whoever runs this server for more.",
        )


def require_job(connection: Connection, project_id: int, key_number: int | None = None) -> None:
    """Raises QuotaError where the project or the key may have no further fine-tuning job now.

    Args:
        key_number: of the key that asks; None without one.
    """
    limits = _limits(connection, project_id)
    _require_place(
        f"Project {limits.name}",
        _active_jobs(connection, jobs.c.project == project_id),
        limits.active_jobs,
    )
    require_tokens(connection, project_id)
    if key_number is None:
        return
    key = connection.execute(
        select(keys.c.active_jobs, keys.c.jobs_per_day).where(keys.c.id == key_number)
    ).one()
    _require_place("This key", _active_jobs(connection, jobs.c.key == key_number), key.active_jobs)
    if key.jobs_per_day is None:
        return
    since = jobs.c.created_at > int(time.time()) - _DAY_SECONDS
    made = connection.scalar(
        select(func.count()).select_from(jobs).where(jobs.c.key == key_number, since)
    )
    if int(made or 0) >= key.jobs_per_day:
        raise QuotaError(
            f"This key may make {key.jobs_per_day} fine-tuning job(s) in 24 hours.",
            "Try again later.",
        )


def require_tokens(connection: Connection, project_id: int, more_tokens: int = 1) -> None:
    """Raises QuotaError where the project may not train `more_tokens` further tokens today."""
    limits = _limits(connection, project_id)
    most = limits.training_tokens_per_day
    if most is None:
        return
    used = _training_tokens(connection, project_id)
    if used + more_tokens > most:
        wanted = f", and this job would be {more_tokens:,} more" if more_tokens > 1 else ""
        raise QuotaError(
            f"Project {limits.name} may train {most:,} tokens in 24 hours; "
            f"it has trained {used:,}{wanted}.",
            "Try again later, or ask whoever runs this server for more.",
        )


def _require_place(who: str, active: int, most: int | None) -> None:
    if most is not None and active >= most:
        raise QuotaError(
            f"{who} may have {most} fine-tuning job(s) that have not ended.",
            "Wait until one has ended, or cancel one.",
        )


def _limits(connection: Connection, project_id: int) -> Any:
    return connection.execute(select(projects).where(projects.c.id == project_id)).one()


def _disk_bytes(connection: Connection, project_id: int) -> int:
    kept = (
        select(files.c.sha256, files.c.bytes)
        .where(files.c.project == project_id, files.c.deleted_at.is_(None))
        .distinct()
        .subquery()
    )
    coming = (
        select(func.sum(upload_parts.c.bytes))
        .join(uploads, uploads.c.id == upload_parts.c.upload)
        .where(uploads.c.project == project_id, uploads.c.status == "pending")
    )
    whole = connection.scalar(select(func.sum(kept.c.bytes)))
    return int(whole or 0) + int(connection.scalar(coming) or 0)


def _active_jobs(connection: Connection, whose: ColumnElement[bool]) -> int:
    counted = select(func.count()).select_from(jobs).where(whose, jobs.c.status.not_in(ENDED))
    return int(connection.scalar(counted) or 0)


def _training_tokens(connection: Connection, project_id: int) -> int:
    since = int(time.time()) - _DAY_SECONDS
    recent = or_(jobs.c.finished_at.is_(None), jobs.c.finished_at > since)
    chosen = select(jobs.c.number, jobs.c.trained_tokens).where(
        jobs.c.project == project_id, recent, jobs.c.attempt > 0
    )
    return sum(
        _told(connection, job) if tokens is None else tokens
        for job, tokens in connection.execute(chosen).all()
    )


def _told(connection: Connection, job: int) -> int:
    """How far a job came that is not done, by its newest row of metrics."""
    newest = (
        select(events.c.data)
        .where(events.c.job == job, events.c.type == "metrics", events.c.data.is_not(None))
        .order_by(events.c.number.desc())
        .limit(1)
    )
    row = json.loads(connection.scalar(newest) or "{}")
    tokens = row.get("tokens")
    return tokens if isinstance(tokens, int) else 0
