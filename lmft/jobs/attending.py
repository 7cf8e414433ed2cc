"""One attempt at a job, from its claim to its end, by the worker that has it in hand.

It is looked at again and again and never waits, so that a wish is heard at once. Whatever the
database refuses is tried again with the next look.
"""

from __future__ import annotations

import logging

from lmft.errors import LmftError
from lmft.jobs.attempts import Attempts
from lmft.jobs.concluding import Ending, ending_of, without_progress
from lmft.jobs.deployed import Deploying, take_away
from lmft.jobs.events import events_since
from lmft.jobs.executors.base import Executor, Exited, Task
from lmft.jobs.folder import JobFolder
from lmft.jobs.following import Follower
from lmft.jobs.integrations import environment_of
from lmft.jobs.job import Job, JobError, Said
from lmft.jobs.laid_out import again, lay_out
from lmft.jobs.results import made_of
from lmft.jobs.spec import adapter_id
from lmft.store.database import Store

log = logging.getLogger("lmft.jobs")


class Attending:
    """Args:
    found: its trainer was started by a worker that is dead: it is ended, not started.
    grace_seconds: that a trainer has for its last checkpoint once it is told to end.
    """

    def __init__(
        self,
        store: Store,
        attempts: Attempts,
        executor: Executor,
        job: Job,
        *,
        grace_seconds: float,
        found: bool = False,
    ) -> None:
        self._store, self._attempts, self._executor = store, attempts, executor
        self.job = job
        self._grace = grace_seconds
        self._task = Task("train", job.id, job.attempt, environment_of(job))
        self._folder = JobFolder(job.id)
        self._follower = Follower(adapter_id(job.adapter), job.steps)
        self._unsaid: list[Said] = []
        self._begun, self._remembers = found, False
        self._leaving = found
        self._told_at: float | None = None
        self._forced = False
        self._deploying: Deploying | None = None

    def look(self, now: float, *, leaving: bool) -> bool:
        """Whether there is more to come.

        Args:
            now: of the monotonic clock. leaving: the worker ends, so the trainer must.

        Raises:
            StaleAttemptError: the job is not this attempt's any more. StoreError: ask again.
        """
        if leaving and self._begun and self._deploying is None:
            # Also where the database is away.
            self._stop(now)
        self.job = self._attempts.now(self.job)
        if self._deploying is not None:
            return self._look_at_deployment(self._deploying, now, leaving)
        if not self._begun and not self._begin(leaving or bool(self.job.wish)):
            return False
        self._tell()
        exited = self._executor.poll(self._task.handle)
        if exited is not None:
            # What it wrote before it ended.
            while self._tell():
                pass
            return self._conclude(exited, now)
        if leaving or self._leaving or self.job.wish:
            self._stop(now)
        return True

    def end_now(self) -> None:
        """Kill the trainer, whatever becomes of the job."""
        self._executor.cancel(self._task.handle, force=True)

    def _begin(self, unwanted: bool) -> bool:
        if unwanted:
            self._attempts.ended_early(self.job, "stopped", "")
            return False
        try:
            lay_out(self.job, self._folder, self._store)
            self._folder.admit(self.job.attempt)
            self._executor.submit(self._task)
        except LmftError as error:
            if again(error):
                raise
            self._fail(error)
            return False
        self._begun = True
        return True

    def _tell(self) -> bool:
        """Write what the run says, each thing once. Whether there may be more."""
        if not self._remembers:
            self._remember()
        new = self._follower.new()
        self._unsaid += new
        step, ends_at = self._follower.step(), self._follower.ends_at()
        if self._unsaid or (step is not None and step > self.job.step):
            self.job = self._attempts.progress(
                self.job, self._unsaid, step=step, estimated_finish=ends_at
            )
            self._unsaid = []
        return bool(new)

    def _remember(self) -> None:
        last = 0
        with self._store.reading() as connection:
            while page := events_since(connection, self.job.number, last):
                self._follower.remember(page)
                last = page[-1].number
        self._remembers = True

    def _stop(self, now: float) -> None:
        """In order first. A cancelled job publishes nothing from here on."""
        if self.job.wish == "cancel":
            self._folder.bar()
        if self._told_at is None:
            self._told_at = now
            # One that was found has been told by the kernel, and twice would mean at once.
            if not self._leaving:
                self._executor.cancel(self._task.handle, force=False)
        elif now - self._told_at > self._grace and not self._forced:
            self._forced = True
            log.warning("%s does not stop: its trainer is killed", self.job.id)
            self.end_now()

    def _conclude(self, exited: Exited, now: float) -> bool:
        ending = ending_of(self._executor.collect(self._task.handle), exited)
        if self.job.wish == "cancel":
            self._cancelled(ending)
            return False
        if ending.outcome == "done":
            self._deploying = Deploying(self._store, self.job, now)
            return True
        if ending.error is not None:
            self._attempts.failed(self.job, ending.error)
        elif ending.outcome == "stopped" or (self._forced and not self._leaving):
            self._attempts.ended_early(self.job, "stopped", ending.detail)
        elif not self.job.wish and without_progress(self._attempts.of(self.job), self.job):
            message = (
                f"The trainer was lost again and again at step {self.job.step}, the last time by "
                f"{ending.detail}. Its log.txt may say more."
            )
            self._attempts.failed(self.job, JobError("no_progress", message))
        else:
            self._attempts.ended_early(self.job, "lost", ending.detail)
        return False

    def _look_at_deployment(self, deploying: Deploying, now: float, leaving: bool) -> bool:
        if self.job.wish == "cancel":
            self._cancelled(Ending("stopped"))
            return False
        proof = deploying.look(now)
        if proof is None:
            if leaving:
                self._attempts.ended_early(self.job, "stopped", "published, not yet probed")
            return not leaving
        if proof.failure:
            ended = self._attempts.failed(self.job, JobError("probe_failed", proof.failure))
            if ended.status == "cancelled":
                take_away(self._store, self.job.adapter)
            return False
        try:
            made, said = made_of(self.job, self._store)
        except LmftError as error:
            if again(error):
                raise
            self._fail(error)
            return False
        # A cancel in this very moment is seen with the next look.
        ended = self._attempts.succeeded(self.job, made, [*proof.said, *said])
        return ended.status == "running"

    def _fail(self, error: LmftError) -> None:
        # Clients hear of no path; the job's own log is its processes'.
        log.error("%s: %s", self.job.id, error)
        self._attempts.failed(self.job, JobError(error.code, str(error)))

    def _cancelled(self, ending: Ending) -> None:
        # First: nobody shall find the model of a job that is said to be cancelled.
        take_away(self._store, self.job.adapter)
        self._attempts.ended_early(self.job, "stopped", ending.detail)
