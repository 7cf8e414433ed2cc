"""A worker's side of the jobs: what it takes on, what it says meanwhile, how that ends.

Every call is one transaction. A call for an attempt that is not the newest, or that has ended,
changes nothing and raises StaleAttemptError: the attempt's number is a fencing token.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from sqlalchemy import func, insert, select

from lmft.errors import QuotaError
from lmft.jobs.attempt import Attempt, Made
from lmft.jobs.attempt_rows import (
    change,
    close,
    current,
    end,
    end_cancelled,
    next_queued,
    take,
)
from lmft.jobs.events import add_checkpoint, say
from lmft.jobs.job import Job, JobError, Said
from lmft.jobs.queue import find, read_all
from lmft.jobs.states import Status
from lmft.store.database import Store
from lmft.store.job_tables import attempts, jobs
from lmft.store.quotas import require_tokens


class Attempts:
    """Args:
    worker: who it is, the same after a restart: at most one attempt of it is active.
    """

    def __init__(self, store: Store, worker: str) -> None:
        self._store = store
        self._worker = worker

    def to_validate(self) -> Job | None:
        """The oldest job whose files nobody has looked at."""
        oldest = select(func.min(jobs.c.number)).where(jobs.c.status == "validating_files")
        with self._store.reading() as connection:
            found = read_all(connection, jobs.c.number == oldest.scalar_subquery())
        return found[0] if found else None

    def validated(
        self,
        job: Job,
        report: Mapping[str, Any],
        resolved: Mapping[str, Any],
        steps: int,
        said: Sequence[Said] = (),
        *,
        tokens: int,
    ) -> Job:
        """Its files are good: it is queued, or paused where that was asked for; or it has failed,
        if its project may not train so many tokens."""
        with self._store.writing() as connection:
            now = find(connection, job.id)
            if now.status != "validating_files":
                return now
            try:
                require_tokens(connection, now.project_id, tokens)
            except QuotaError as error:
                say(connection, now.number, [*said, Said(str(error), "error")])
                end(connection, now, "failed", JobError(error.code, str(error)))
                return find(connection, job.id)
            hold = now.hold or now.wish == "pause"
            values = {
                "status": "paused" if hold else "queued",
                "wish": "",
                "report": json.dumps(report, ensure_ascii=False),
                "resolved": json.dumps(resolved),
                "steps": steps,
            }
            change(connection, now, values)
            message = "Files validated, moving job to queued state"
            if hold:
                message = "Files validated; the job is paused until it is resumed"
            say(connection, now.number, [*said, Said(message)])
            return find(connection, job.id)

    def refused(self, job: Job, error: JobError, said: Sequence[Said] = ()) -> Job:
        """Its files cannot be trained on: the job has failed."""
        with self._store.writing() as connection:
            now = find(connection, job.id)
            if now.status == "validating_files":
                say(connection, now.number, [*said, Said(error.message, "error")])
                end(connection, now, "failed", error)
            return find(connection, job.id)

    def claim(self) -> Job | None:
        """The queued job that is next, as a new attempt of it by this worker; None without one.

        Highest priority first; of those one that was begun already, then the project that has
        waited longest since it was last given the device, then the oldest.
        """
        with self._store.reading() as connection:
            # An idle worker asks all the time: nobody shall wait for that.
            if connection.scalar(next_queued()) is None:
                return None
        with self._store.writing() as connection:
            number = connection.scalar(next_queued())
            if number is None or not take(connection, number):
                return None
            job = read_all(connection, jobs.c.number == number)[0]
            attempt, now = job.attempt + 1, int(time.time())
            values = {
                "status": "running",
                "attempt": attempt,
                "started_at": job.started_at or now,
            }
            change(connection, job, values)
            row = {"job": number, "attempt": attempt, "worker": self._worker, "started_at": now}
            connection.execute(insert(attempts).values(row))
            began = "Fine-tuning job started"
            if attempt > 1:
                began = f"Fine-tuning goes on from step {job.step} (attempt {attempt})"
            say(connection, job.number, [Said(began)], attempt)
            return find(connection, job.id)

    def now(self, job: Job) -> Job:
        """The job as it is, with what is wished of it.

        Raises:
            StaleAttemptError: it is not this attempt's any more.
        """
        with self._store.reading() as connection:
            return current(connection, job)

    def progress(
        self,
        job: Job,
        said: Sequence[Said] = (),
        *,
        step: int | None = None,
        steps: int | None = None,
        estimated_finish: int | None = None,
    ) -> Job:
        """Write what the attempt says, and how far it has come. Steps never go back: a step that
        is trained again after a loss was said before.

        Raises:
            StaleAttemptError: nothing was written.
        """
        with self._store.writing() as connection:
            now = current(connection, job)
            values: dict[str, Any] = {}
            if step is not None and step > now.step:
                values["step"] = step
            if steps is not None:
                values["steps"] = steps
            if estimated_finish is not None:
                values["estimated_finish"] = estimated_finish
            if values:
                change(connection, now, values)
            say(connection, now.number, said, now.attempt)
            return find(connection, job.id)

    def succeeded(self, job: Job, made: Made, said: Sequence[Said] = ()) -> Job:
        """Trained, published, proven; unless a cancel came first: then nothing changes, so that
        what was published is taken away before the job is said to be cancelled.

        Raises:
            StaleAttemptError: nothing was written.
        """
        with self._store.writing() as connection:
            now = current(connection, job)
            if now.wish == "cancel":
                return now
            for step, model, metrics in made.checkpoints:
                add_checkpoint(connection, now.number, step, model, metrics)
            last = [
                *said,
                Said(f"New fine-tuned model created: {made.model}"),
                Said("The job has successfully completed"),
            ]
            say(connection, now.number, last, now.attempt)
            close(connection, now, "done", "")
            values = {
                "fine_tuned_model": made.model,
                "trained_tokens": made.trained_tokens,
                "result_file": made.result_file,
            }
            end(connection, now, "succeeded", values=values)
            return find(connection, job.id)

    def failed(self, job: Job, error: JobError, said: Sequence[Said] = ()) -> Job:
        """It cannot be done as it is; unless a cancel came first.

        Raises:
            StaleAttemptError: nothing was written.
        """
        with self._store.writing() as connection:
            now = current(connection, job)
            say(connection, now.number, [*said, Said(error.message, "error")], now.attempt)
            if now.wish == "cancel":
                close(connection, now, "cancelled", error.message)
                end_cancelled(connection, now)
            else:
                close(connection, now, "failed", error.message)
                end(connection, now, "failed", error)
            return find(connection, job.id)

    def ended_early(self, job: Job, outcome: Literal["stopped", "lost"], detail: str) -> Job:
        """The attempt is over and the job is not: it was stopped in order, or was lost.

        The job is cancelled or paused if that is wished, else queued again.

        Raises:
            StaleAttemptError: nothing was written.
        """
        with self._store.writing() as connection:
            now = current(connection, job)
            if now.wish == "cancel":
                close(connection, now, "cancelled", detail)
                end_cancelled(connection, now)
                return find(connection, job.id)
            paused = now.wish == "pause"
            close(connection, now, "paused" if paused else outcome, detail)
            status: Status = "paused" if paused else "queued"
            change(connection, now, {"status": status, "wish": "", "estimated_finish": None})
            message = f"Stopped at step {now.step}; the job will go on from there"
            if paused:
                message = f"The job has been paused at step {now.step}"
            elif outcome == "lost":
                message = f"The trainer was lost at step {now.step} ({detail}); it is tried again"
            said = Said(message, "warn" if outcome == "lost" and not paused else "info")
            say(connection, now.number, [said], now.attempt)
            return find(connection, job.id)

    def active(self, *, anybodys: bool = False) -> Job | None:
        """A job that was in hand when its worker ended without a word.

        Args:
            anybodys: not only of this worker: for the one worker that a database can have. A
                restored one knows of workers that are no more.
        """
        open_ones = select(attempts.c.job).where(attempts.c.ended_at.is_(None))
        if not anybodys:
            open_ones = open_ones.where(attempts.c.worker == self._worker)
        with self._store.reading() as connection:
            found = read_all(connection, jobs.c.number.in_(open_ones))
        return found[0] if found else None

    def of(self, job: Job) -> list[Attempt]:
        """All attempts at it, oldest first."""
        columns = [column for column in attempts.c if column.name != "job"]
        query = select(*columns).where(attempts.c.job == job.number).order_by(attempts.c.attempt)
        with self._store.reading() as connection:
            return [Attempt(**row._mapping) for row in connection.execute(query)]
