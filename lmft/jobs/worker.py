"""`python -m lmft.jobs.worker`: the one process of this `LMFT_HOME` that has its jobs done.

It trains one job at a time, and looks at the files of one other beside it. A second worker stands
by and takes over when this one dies. `lmft serve` starts one, `lmft worker` runs one alone.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from types import FrameType

from lmft.errors import DiskFullError, LmftError, StoreError
from lmft.jobs.attempts import Attempts
from lmft.jobs.attending import Attending
from lmft.jobs.events import StaleAttemptError
from lmft.jobs.executors.base import Executor
from lmft.jobs.executors.local import LocalExecutor
from lmft.jobs.housekeeping import let_go, start_housekeeping
from lmft.jobs.job import Job, JobError
from lmft.jobs.seat import Seat
from lmft.jobs.taking_over import left_by_others
from lmft.jobs.validating import Validating
from lmft.processes import PARENT_VARIABLE, SAME_STOP_SECONDS, die_with_parent
from lmft.store.database import Store, open_store

log = logging.getLogger("lmft.jobs")

POLL_SECONDS = 0.5
# Longer than a step and a checkpoint take of all but the largest bases.
GRACE_SECONDS = 30.0
GRACE_VARIABLE = "LMFT_STOP_SECONDS"
# No process to be had, too many open files: that may pass.
_MOST_ODD_LOOKS = 60


class Worker:
    """Args:
    name: the same after a restart; see Seat.
    heir: no other worker can be at work on this database: what any has left is this one's.
    """

    def __init__(
        self,
        store: Store,
        executor: Executor,
        name: str,
        *,
        heir: bool = False,
        grace_seconds: float = GRACE_SECONDS,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._heir = heir
        self._store, self._executor = store, executor
        self._attempts = Attempts(store, name)
        self._grace, self._poll = grace_seconds, poll_seconds
        self._job: Job | None = None
        self._attending: Attending | None = None
        self._validating: Validating | None = None
        self._found = self._rescued = False
        self._odd_looks = 0
        self._said = ""

    def run(self, leaving: threading.Event) -> None:
        """Until `leaving` is set and the trainer has stopped in order."""
        patience = self._grace
        while True:
            try:
                if not self.look(leaving=leaving.is_set()):
                    return
                self._said = ""
            except (StoreError, DiskFullError) as error:
                # Locked, or its disk is full. What is going on goes on, and is told later.
                self._say(str(error))
                patience -= self._poll if leaving.is_set() else 0
                if leaving.is_set() and (self._job is None or patience < 0):
                    # The next worker finds what is left.
                    self.end_now()
                    return
            time.sleep(self._poll) if leaving.is_set() else leaving.wait(self._poll)

    def look(self, *, leaving: bool) -> bool:
        """One look at all that is in hand; takes on what there is. Whether there is more to come.

        Raises:
            StoreError, DiskFullError: ask again.
        """
        self._look_at_training(leaving)
        self._look_at_files(leaving)
        return not leaving or self._job is not None

    def end_now(self) -> None:
        """Kill what it has started; the next worker goes on with it."""
        if self._attending is not None:
            self._attending.end_now()
        if self._validating is not None:
            self._validating.end_now()

    def _look_at_training(self, leaving: bool) -> None:
        if self._job is None and not self._rescued:
            self._job, self._found = self._attempts.active(anybodys=self._heir), True
            self._rescued = self._job is None
        if self._job is None and not leaving:
            self._job, self._found = self._attempts.claim(), False
        if self._job is None:
            return
        try:
            goes_on = self._attended(self._job).look(time.monotonic(), leaving=leaving)
        except (StoreError, DiskFullError):
            raise
        except OSError as error:
            self._say(f"{self._job.id}: {error}")
            self._odd_looks += 1
            if self._odd_looks < _MOST_ODD_LOOKS:
                return
            self.end_now()
            self._attempts.failed(self._job, _unforeseen(error))
            goes_on = False
        except StaleAttemptError as error:
            log.error("%s", error)
            self.end_now()
            goes_on = False
        except Exception as error:
            # A job that cannot be had in hand must not keep the others waiting.
            log.exception("%s", self._job.id)
            self.end_now()
            self._attempts.failed(self._job, _unforeseen(error))
            goes_on = False
        if not goes_on:
            done, self._job, self._attending = self._job, None, None
            self._odd_looks = 0
            let_go(self._store, done.id)

    def _look_at_files(self, leaving: bool) -> None:
        if self._validating is not None and leaving:
            self._validating.end_now()
            self._validating = None
        if leaving:
            return
        if self._validating is None:
            job = self._attempts.to_validate()
            if job is None:
                return
            self._validating = Validating(self._store, self._attempts, self._executor, job)
        job = self._validating.job
        try:
            goes_on = self._validating.look()
        except (StoreError, DiskFullError):
            raise
        except Exception as error:
            log.exception("%s", job.id)
            self._attempts.refused(job, _unforeseen(error))
            goes_on = False
        if not goes_on:
            self._validating = None
            let_go(self._store, job.id)

    def _attended(self, job: Job) -> Attending:
        if self._attending is None:
            self._attending = Attending(
                self._store,
                self._attempts,
                self._executor,
                job,
                grace_seconds=self._grace,
                found=self._found,
            )
        return self._attending

    def _say(self, text: str) -> None:
        if text != self._said:
            log.error("%s", text)
            self._said = text


def _unforeseen(error: Exception) -> JobError:
    message = f"The worker could not go on with it ({type(error).__name__}); its log says more."
    return JobError("server_error", message)


def work() -> int:
    """Be the worker, or stand by to be it, until SIGTERM, SIGHUP or Ctrl-C.

    A second one ends at once, but for SIGHUP, and for a SIGTERM that comes with the first: who
    stops a service may tell all of its processes, and then the server tells this one too.
    """
    if parent := os.environ.get(PARENT_VARIABLE):
        die_with_parent(int(parent))
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    leaving = threading.Event()
    worker: Worker | None = None
    told_at = 0.0

    def stop(number: int, _: FrameType | None) -> None:
        nonlocal told_at
        if not leaving.is_set():
            told_at = time.monotonic()
        elif number == signal.SIGINT or (
            number == signal.SIGTERM and time.monotonic() - told_at > SAME_STOP_SECONDS
        ):
            if worker is not None:
                worker.end_now()
            os._exit(128 + number)
        leaving.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    try:
        store = open_store()
        seat = Seat()
        while not seat.taken():
            if leaving.wait(POLL_SECONDS):
                return 0
        start_housekeeping(store)
        heir, name = store.is_this_homes_own, seat.name()
        for line in () if heir else left_by_others(store, name):
            log.warning("%s", line)
        executor = LocalExecutor()
        worker = Worker(store, executor, name, heir=heir, grace_seconds=grace_seconds())
        worker.run(leaving)
    except LmftError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def grace_seconds() -> float:
    """That a trainer has for its last checkpoint, as this process's environment says."""
    text = os.environ.get(GRACE_VARIABLE, "")
    return float(text) if text.replace(".", "", 1).isdigit() else GRACE_SECONDS


if __name__ == "__main__":
    sys.exit(work())
