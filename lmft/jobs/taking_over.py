"""What a worker that is no more left in hand, queued again by a person who knows that it is gone.

A worker finds what it had by its name (`jobs/worker.lock`). Where that is lost and the database
is not, as after a restore from PostgreSQL, nobody is of that name any more.
"""

from __future__ import annotations

import time

from sqlalchemy import Connection, func, select

from lmft.errors import MachineError, NotFoundError
from lmft.jobs.attempts import Attempts
from lmft.jobs.deployed import take_away
from lmft.jobs.folder import JobFolder
from lmft.jobs.housekeeping import let_go
from lmft.jobs.job import Job
from lmft.jobs.seat import Seat
from lmft.store.database import Store
from lmft.store.job_tables import attempts, events, jobs

# A trainer that is not loading says something within this, mostly.
WATCH_SECONDS = 10.0


class WorkerLivesError(MachineError):
    """What it has in hand is its own."""

    code = "worker_lives"


def taken_over(store: Store, worker: str, watch_seconds: float = WATCH_SECONDS) -> Job:
    """The job that it had in hand, queued again; or paused or cancelled, if that was wished.

    The attempt is over then: whatever that worker should still write is refused, and it ends its
    trainer when it is.

    Raises:
        NotFoundError: it has none in hand.
        WorkerLivesError: it is at work here, its trainer is, or the job is written meanwhile.
        StaleAttemptError: it ended in this moment.
    """
    its = Attempts(store, worker)
    job = its.active()
    if job is None:
        raise NotFoundError(f"No worker {worker[:80]} has a job in hand.", _known(store))
    folder = JobFolder(job.id)
    if Seat().holder() == worker or folder.lives():
        raise _lives(worker, job)
    before = _said(store, job)
    time.sleep(watch_seconds)
    job = its.now(job)
    if _said(store, job) != before:
        raise _lives(worker, job)
    # Its own disk may be this one, and its lock not seen from here.
    folder.bar()
    if job.wish == "cancel":
        # First: nobody shall find the model of a job that is said to be cancelled.
        take_away(store, job.adapter)
    ended = its.ended_early(job, "lost", f"{worker} is no more")
    let_go(store, ended.id)
    return ended


def left_by_others(store: Store, worker: str) -> list[str]:
    """A line for each job that another worker has in hand, and what to do where it is gone."""
    with store.reading() as connection:
        return [
            f"{job} is in the hands of {other}, another worker of this database; if that one is "
            f"no more: lmft worker --take-over {other}"
            for other, job in _in_hand(connection)
            if other != worker
        ]


def _in_hand(connection: Connection) -> list[tuple[str, str]]:
    """Workers and the ids of their jobs."""
    both = select(attempts.c.worker, jobs.c.id).join(jobs, jobs.c.number == attempts.c.job)
    found = connection.execute(both.where(attempts.c.ended_at.is_(None)).order_by(jobs.c.number))
    return [(worker, job) for worker, job in found]


def _said(store: Store, job: Job) -> tuple[int, int, int | None]:
    """How far the attempt is: what it last said, its step, when it means to end."""
    newest = select(func.max(events.c.number)).where(
        events.c.job == job.number, events.c.attempt == job.attempt
    )
    far = select(jobs.c.step, jobs.c.estimated_finish).where(jobs.c.number == job.number)
    with store.reading() as connection:
        step, ends_at = connection.execute(far).one()
        return connection.scalar(newest) or 0, step, ends_at


def _lives(worker: str, job: Job) -> WorkerLivesError:
    return WorkerLivesError(
        f"{worker} is at work on {job.id}: what it has is not taken over.",
        "Stop it first (Ctrl-C there, or the server that started it).",
    )


def _known(store: Store) -> str:
    with store.reading() as connection:
        found = [f"{worker} ({job})" for worker, job in _in_hand(connection)]
    return f"There are: {', '.join(found)}." if found else "Nothing is in anybody's hands."
