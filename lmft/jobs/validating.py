"""One job whose files are looked at, by the worker: a process beside the trainer, so that the
report does not wait for the device."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from lmft.errors import LmftError
from lmft.jobs.attempts import Attempts
from lmft.jobs.executors.base import Executor, Exited, Task
from lmft.jobs.folder import EXIT_DISK_FULL, SPEC, JobFolder
from lmft.jobs.job import Job, JobError, Said
from lmft.jobs.laid_out import again, lay_out
from lmft.jobs.queue import JobQueue
from lmft.store.database import Store

log = logging.getLogger("lmft.jobs")

_MOST_TRIES = 3
_SHOWN_FAULTS = 3
# Errors of the person that are of no file; all others are of the training file.
_PARAMS = {
    "invalid_validation_file": "validation_file",
    "invalid_recipe": "lmft",
    "invalid_base_model": "model",
    "not_found": "model",
}


class Validating:
    """The first try, and the next ones where the process was lost."""

    def __init__(self, store: Store, attempts: Attempts, executor: Executor, job: Job) -> None:
        self._store, self._attempts, self._executor = store, attempts, executor
        self.job = job
        self._folder = JobFolder(job.id)
        self._task = Task("validate", job.id, 0)
        self._begun = False

    def look(self) -> bool:
        """Whether there is more to come. Raises StoreError: ask again."""
        now = JobQueue(self._store).get(self.job.id)
        if now.status != "validating_files":
            # Cancelled meanwhile.
            self.end_now()
            return self._executor.poll(self._task.handle) is None
        if not self._begun and not self._begin():
            return False
        exited = self._executor.poll(self._task.handle)
        return True if exited is None else self._conclude(exited)

    def end_now(self) -> None:
        if self._begun:
            self._executor.cancel(self._task.handle, force=True)

    def _begin(self) -> bool:
        try:
            # What a worker before left may be half of it.
            self._folder.remove(SPEC)
            lay_out(self.job, self._folder, self._store)
            self._task = Task("validate", self.job.id, self._task.attempt + 1)
            self._executor.submit(self._task)
        except LmftError as error:
            if again(error):
                raise
            # Clients hear of no path, and no process of the job has begun a log.
            log.error("%s: %s", self.job.id, error)
            self._attempts.refused(self.job, JobError(error.code, str(error), "training_file"))
            return False
        self._begun = True
        return True

    def _conclude(self, exited: Exited) -> bool:
        said = self._executor.collect(self._task.handle)
        if said is not None and said["ended"] == "done":
            notes = [Said(note, "warn") for note in said["notes"]]
            self._attempts.validated(
                self.job,
                said["report"],
                said["resolved"],
                said["steps"],
                notes,
                tokens=said["tokens"],
            )
            return False
        if said is not None and said["ended"] == "failed":
            error, faults = refusal(said)
            self._attempts.refused(self.job, error, faults)
            return False
        if exited.code == EXIT_DISK_FULL:
            error = JobError("storage_full", "The disk is full. Free some space.")
            self._attempts.refused(self.job, error)
            return False
        if self._task.attempt < _MOST_TRIES:
            self._begun = False
            return True
        detail = (said or {}).get("message", exited)
        message = f"The files could not be looked at ({detail}). Its log.txt may say more."
        self._attempts.refused(self.job, JobError("validation_failed", message))
        return False


def refusal(said: Mapping[str, Any]) -> tuple[JobError, Sequence[Said]]:
    """Why the files cannot be trained on, and an event for every bad line."""
    faults: list[str] = said["faults"]
    code, message = said["code"], f"{said['message']} {said['hint']}".strip()
    if faults:
        rest = said["n_faults"] - _SHOWN_FAULTS
        more = f"; and {rest} more, see the job's events" if rest > 0 else ""
        count = said["n_faults"]
        noun = "fault" if count == 1 else "faults"
        message = f"{count} {noun} in the files: {'; '.join(faults[:_SHOWN_FAULTS])}{more}."
    if said["users_fault"]:
        param = _PARAMS.get(code, "training_file")
        if param == "training_file" and code != "invalid_n_examples":
            code = "invalid_training_file"
        return JobError(code, message, param), [Said(fault, "error") for fault in faults]
    return JobError(code, message), ()
