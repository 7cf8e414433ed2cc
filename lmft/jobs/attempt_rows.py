"""The writes that attempts are made of, each within a transaction of its caller."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Select, case, func, select, update

from lmft.jobs.attempt import Outcome
from lmft.jobs.events import StaleAttemptError, say
from lmft.jobs.job import Job, JobError, Said
from lmft.jobs.queue import find
from lmft.jobs.states import Status
from lmft.store.job_tables import attempts, jobs
from lmft.webhooks.outbox import enqueue


def next_queued() -> Select[int]:
    """The number of the job that is next; see Attempts.claim."""
    other = jobs.alias()
    given = (
        select(other.c.project, func.max(attempts.c.started_at).label("last"))
        .join(attempts, other.c.number == attempts.c.job)
        .group_by(other.c.project)
        .subquery()
    )
    return (
        select(jobs.c.number)
        .outerjoin(given, given.c.project == jobs.c.project)
        .where(jobs.c.status == "queued")
        .order_by(
            jobs.c.priority.desc(),
            case((jobs.c.attempt > 0, 0), else_=1),
            func.coalesce(given.c.last, 0),
            jobs.c.number,
        )
        .limit(1)
    )


def take(connection: Connection, number: int) -> bool:
    """Whether it is this transaction that takes it: another worker may have come first."""
    mine = update(jobs).where(jobs.c.number == number, jobs.c.status == "queued")
    return connection.execute(mine.values(status="running")).rowcount == 1


def current(connection: Connection, job: Job) -> Job:
    """The job as it is now. Raises StaleAttemptError: it is not that attempt's any more."""
    now = find(connection, job.id)
    if now.status != "running" or now.attempt != job.attempt:
        raise StaleAttemptError(f"Attempt {job.attempt} of {job.id} is over.")
    return now


def change(connection: Connection, job: Job, values: Mapping[str, Any]) -> None:
    connection.execute(update(jobs).where(jobs.c.number == job.number).values(**values))


def close(connection: Connection, job: Job, outcome: Outcome, detail: str) -> None:
    """The attempt is over, and has come as far as the job."""
    this = (attempts.c.job == job.number, attempts.c.attempt == job.attempt)
    ended = {"ended_at": int(time.time()), "outcome": outcome, "detail": detail, "step": job.step}
    connection.execute(update(attempts).where(*this).values(**ended))


def end_cancelled(connection: Connection, job: Job) -> None:
    say(connection, job.number, [Said("The job has been cancelled")], job.attempt)
    end(connection, job, "cancelled")


def end(
    connection: Connection,
    job: Job,
    status: Status,
    error: JobError | None = None,
    values: Mapping[str, Any] | None = None,
) -> None:
    """The job is over; webhooks are told."""
    why = {} if error is None else {f"error_{key}": value for key, value in vars(error).items()}
    ending = {"status": status, "finished_at": int(time.time()), "estimated_finish": None}
    change(connection, job, {**ending, **why, **(values or {})})
    enqueue(connection, job.number, job.project_id, f"fine_tuning.job.{status}")
