"""What must be true of the rows, beyond what the schema refuses by itself.

Each rule is a query for the rows that break it. The schema makes most of them impossible; they
are asked for again since a damaged file, or a tool that turned the triggers off, can hold them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Select, and_, exists, func, or_, select

from lmft.store.job_tables import ENDED, attempts, checkpoints, events, files, jobs, uploads
from lmft.store.tables import deployments, keys

_SHOWN = 5


def invariants(connection: Connection) -> list[str]:
    """What is wrong, a line each with the rows concerned; empty where all is well."""
    found = []
    for rule, query in _rules():
        broken = [str(value) for value in connection.scalars(query.limit(_SHOWN + 1))]
        if broken:
            more = ", ..." if len(broken) > _SHOWN else ""
            found.append(f"{rule}: {', '.join(broken[:_SHOWN])}{more}")
    return found


def _rules() -> Iterator[tuple[str, Select[Any]]]:
    active = attempts.c.ended_at.is_(None)
    this = and_(attempts.c.job == jobs.c.number, attempts.c.attempt == jobs.c.attempt)
    ended = jobs.c.status.in_(ENDED)

    for what in (attempts.c.job, attempts.c.worker):
        twice = select(what).where(active).group_by(what).having(func.count() > 1)
        yield f"a {what.name} has more than one active attempt", twice
    yield (
        "a job runs without an active attempt",
        _jobs(jobs.c.status == "running", ~exists().where(this, active)),
    )
    yield (
        "a job does not run and has an active attempt",
        _jobs(jobs.c.status != "running", exists().where(attempts.c.job == jobs.c.number, active)),
    )
    counted = (
        select(func.count())
        .select_from(attempts)
        .where(attempts.c.job == jobs.c.number)
        .scalar_subquery()
    )
    yield "a job's attempts are not all there", _jobs(counted != jobs.c.attempt)
    yield "a job has ended and does not say when", _jobs(ended, jobs.c.finished_at.is_(None))
    yield "a job has not ended and says when", _jobs(~ended, jobs.c.finished_at.is_not(None))
    yield (
        "a job has succeeded without a model, or has one without",
        _jobs((jobs.c.status == "succeeded") != jobs.c.fine_tuned_model.is_not(None)),
    )
    yield (
        "a job has succeeded by an attempt that was not done",
        _jobs(jobs.c.status == "succeeded", ~exists().where(this, attempts.c.outcome == "done")),
    )
    yield (
        "a job has failed without a reason, or has one without",
        _jobs((jobs.c.status == "failed") != jobs.c.error_code.is_not(None)),
    )
    for column in (jobs.c.training_file, jobs.c.validation_file):
        same = and_(files.c.id == column, files.c.project == jobs.c.project)
        yield (
            f"a job's {column.name} is no file of its project",
            _jobs(column.is_not(None), ~exists().where(same)),
        )
    of_its_job = jobs.c.number == events.c.job
    yield (
        "an event is of an attempt that there never was",
        select(events.c.id)
        .join(jobs, of_its_job, isouter=True)
        .where(or_(jobs.c.number.is_(None), events.c.attempt > jobs.c.attempt)),
    )
    yield (
        "a checkpoint is of a job that trained nothing",
        select(checkpoints.c.id)
        .join(jobs, jobs.c.number == checkpoints.c.job)
        .where(jobs.c.attempt == 0),
    )
    yield (
        "an upload is complete without a file, or has one without",
        select(uploads.c.id).where(
            (uploads.c.status == "completed") != uploads.c.file.is_not(None)
        ),
    )
    yield "a key belongs to no project", select(keys.c.id).where(keys.c.project.is_(None))
    for state in ("wanted", "live"):
        yield (
            f"an alias has more than one {state} version",
            select(deployments.c.alias)
            .where(deployments.c.state == state)
            .group_by(deployments.c.alias)
            .having(func.count() > 1),
        )


def _jobs(*where: Any) -> Select[Any]:
    return select(jobs.c.id).where(*where)
