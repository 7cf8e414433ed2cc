"""The jobs of a store: created, listed, asked to stop or go on. What a worker does with them is
in lmft.jobs.attempts."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Select, insert, select, update

from lmft.errors import NotFoundError
from lmft.jobs.deployed import take_away
from lmft.jobs.events import say
from lmft.jobs.job import Job, NewJob, Said, job_of, new_job_row
from lmft.jobs.states import ENDED, Verb, asked
from lmft.store.database import Store
from lmft.store.job_tables import job_metadata, jobs
from lmft.webhooks.outbox import enqueue

# What validation found may be long, and is asked for by itself.
_COLUMNS = [column for column in jobs.c if column.name != "report"]


class JobNotFoundError(NotFoundError):
    code = "fine_tune_not_found"


class JobQueue:
    """The jobs of a store. Safe to use from several threads and processes at once."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, id: str, project_id: int | None = None) -> Job:
        """Args: project_id: whose it must be; None for whoever runs this machine.

        Raises:
            JobNotFoundError: no such job, or another project's.
        """
        with self._store.reading() as connection:
            return find(connection, id, project_id)

    def list(
        self,
        project_id: int | None = None,
        *,
        after: str | None = None,
        limit: int = 20,
        metadata: Mapping[str, str | None] | None = None,
        bare: bool = False,
    ) -> tuple[list[Job], bool]:
        """Newest first, and whether there are more.

        Args:
            after: id of the last job of the page before.
            metadata: only those that have all of these; {key: None} those without that key.
            bare: only those without any metadata.

        Raises:
            JobNotFoundError: no job `after`.
        """
        query = _jobs().order_by(jobs.c.number.desc()).limit(limit + 1)
        if project_id is not None:
            query = query.where(jobs.c.project == project_id)
        for key, value in (metadata or {}).items():
            has = select(job_metadata.c.job).where(
                job_metadata.c.job == jobs.c.number, job_metadata.c.key == key
            )
            if value is None:
                query = query.where(~has.exists())
            else:
                query = query.where(has.where(job_metadata.c.value == value).exists())
        if bare:
            query = query.where(jobs.c.number.not_in(select(job_metadata.c.job)))
        with self._store.reading() as connection:
            if after is not None:
                query = query.where(jobs.c.number < find(connection, after, project_id).number)
            found = _read(connection, query)
        return found[:limit], len(found) > limit

    def report(self, id: str, project_id: int | None = None) -> dict[str, Any] | None:
        """What validation found: `corpus` and `plan`; None until it is through."""
        with self._store.reading() as connection:
            number = find(connection, id, project_id).number
            text = connection.scalar(select(jobs.c.report).where(jobs.c.number == number))
        found: dict[str, Any] | None = json.loads(text) if text else None
        return found

    def ask(self, verb: Verb, id: str, project_id: int | None = None) -> Job:
        """Cancel, pause or resume; the job as it is then.

        Raises:
            JobNotFoundError, StateConflictError.
        """
        with self._store.writing() as connection:
            job = find(connection, id, project_id)
            status, wish = asked(verb, job.status, job.wish, validated=job.validated)
            if (status, wish) == (job.status, job.wish):
                return job
            changes: dict[str, Any] = {"status": status, "wish": wish}
            if status in ENDED:
                changes["finished_at"] = int(time.time())
            connection.execute(update(jobs).where(jobs.c.number == job.number).values(changes))
            say(connection, job.number, [Said(_SAYS[verb, status == job.status])])
            if status in ENDED:
                enqueue(connection, job.number, job.project_id, f"fine_tuning.job.{status}")
            now = find(connection, id)
        if now.ended and now.attempt:
            # It may have been stopped between publishing and saying so.
            take_away(self._store, now.adapter)
        return now


_SAYS = {
    ("cancel", True): "Cancelling: the step in progress is ended first",
    ("cancel", False): "The job has been cancelled",
    ("pause", True): "Pausing: the step in progress is ended first",
    ("pause", False): "The job has been paused",
    ("resume", True): "The job goes on",
    ("resume", False): "The job has been resumed",
}


def create(connection: Connection, new: NewJob) -> Job:
    """Write a job, its metadata and its first events, in the transaction of the caller."""
    row = new_job_row(new, int(time.time()))
    number = connection.execute(insert(jobs).values(row).returning(jobs.c.number)).scalar_one()
    for key, value in new.metadata.items():
        connection.execute(insert(job_metadata).values(job=number, key=key, value=value))
    validating = ", ".join(new.files)
    say(
        connection,
        number,
        [
            Said(f"Created fine-tuning job: {row['id']}"),
            Said(f"Validating training file: {validating}"),
        ],
    )
    return find(connection, row["id"])


def find(connection: Connection, id: str, project_id: int | None = None) -> Job:
    """Raises JobNotFoundError: no such job, or another project's."""
    query = _jobs().where(jobs.c.id == id)
    if project_id is not None:
        query = query.where(jobs.c.project == project_id)
    found = _read(connection, query)
    if not found:
        raise JobNotFoundError(
            f"Could not find fine tune: {id[:80]}.", "GET /v1/fine_tuning/jobs lists what there is."
        )
    return found[0]


def read_all(connection: Connection, *where: Any) -> list[Job]:
    """Those for which all of `where` holds, oldest first."""
    return _read(connection, _jobs().where(*where).order_by(jobs.c.number))


def _jobs() -> Select[Any]:
    return select(*_COLUMNS, jobs.c.report.is_not(None).label("validated"))


def _read(connection: Connection, query: Select[Any]) -> list[Job]:
    rows = connection.execute(query).all()
    metadata: dict[int, dict[str, str]] = {}
    numbers = [row.number for row in rows]
    if numbers:
        for job, key, value in connection.execute(
            select(job_metadata).where(job_metadata.c.job.in_(numbers))
        ):
            metadata.setdefault(job, {})[key] = value
    return [job_of(row, metadata.get(row.number, {})) for row in rows]
