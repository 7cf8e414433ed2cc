"""A job's directory: what its worker and the processes that it starts tell each other.

$LMFT_HOME/jobs/ftjob-ID/
  spec.json       what is to be done; written by the worker
  recipe.json     what it is trained by, once its text has been compiled
  data/           the training files, under the names that people know
  validation/     the validation file, if there is one
  attempt         the fence: the attempt that may publish; none may without it
  lock            held (flock) by the trainer, whose process id it names; dies with it
  validated.json  what validation found
  result.json     how the newest attempt ended, as it says itself
  log.txt         what these processes print

A rename makes each file appear; what is not there was not finished.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from typing import Any

from lmft import paths
from lmft.errors import InputError, MachineError
from lmft.object_ids import is_id

JOB_PREFIX = "ftjob-"
SPEC, RECIPE = "spec.json", "recipe.json"
# How a process ended that could not even write that (sysexits.h: EX_IOERR, EX_TEMPFAIL).
EXIT_DISK_FULL, EXIT_LOCKED = 74, 75
VALIDATED, RESULT = "validated.json", "result.json"
_FENCE, _LOCK, _LOG = "attempt", "lock", "log.txt"
_POLL_SECONDS = 0.1
# It has the lock for a moment before its number stands there.
_READS = 10


class FencedError(MachineError):
    """Another attempt has taken over, or the job is being cancelled: nothing may be published."""

    code = "stale_attempt"


class JobFolder:
    """Args:
    job: its id.

    Raises:
        InputError: that is no id of a job.
    """

    def __init__(self, job: str) -> None:
        if not is_id(JOB_PREFIX, job):
            raise InputError(f"{job[:80]!r} is no id of a fine-tuning job.")
        self.job = job
        self.path = paths.jobs_dir() / job
        self.data, self.validation = self.path / "data", self.path / "validation"
        self.log = self.path / _LOG

    def make(self) -> None:
        with paths.disk_errors(self.path):
            paths.make_dir(self.path, 0o700)

    def write(self, name: str, tree: Mapping[str, Any]) -> None:
        """Replace the JSON file `name`: a reader, or a power cut, finds the old or the new."""
        self._write(name, json.dumps(tree, ensure_ascii=False))

    def read(self, name: str) -> dict[str, Any] | None:
        """None where it is not there, or was damaged."""
        try:
            found = json.loads((self.path / name).read_bytes())
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def remove(self, name: str) -> None:
        (self.path / name).unlink(missing_ok=True)

    def admit(self, attempt: int) -> None:
        """From here on only this attempt may publish."""
        self._write(_FENCE, str(attempt))

    def bar(self) -> None:
        """From here on none may. Needs no room on the disk."""
        self.remove(_FENCE)

    def require(self, attempt: int) -> None:
        """Raise FencedError unless that attempt may publish."""
        try:
            admitted = int((self.path / _FENCE).read_text())
        except (OSError, ValueError):
            admitted = None
        if attempt != admitted:
            raise FencedError(f"Attempt {attempt} of {self.job} is over; nothing is published.")

    @contextlib.contextmanager
    def locked(self, wait_seconds: float) -> Iterator[None]:
        """Be the trainer of this job until the block or this process ends.

        Raises:
            MachineError: another one still lives after `wait_seconds`.
        """
        lock = self._open_lock()
        try:
            deadline = time.monotonic() + wait_seconds
            while not taken(lock):
                if time.monotonic() > deadline:
                    raise MachineError(f"Another process (still) trains {self.job}.")
                time.sleep(_POLL_SECONDS)
            os.ftruncate(lock, 0)
            os.pwrite(lock, str(os.getpid()).encode(), 0)
            yield
        finally:
            os.close(lock)

    def lives(self) -> bool:
        """Whether a trainer of this job, or a descendant of one, is still there."""
        if not self.path.is_dir():
            return False
        lock = self._open_lock()
        try:
            return not taken(lock)
        finally:
            os.close(lock)

    def owner(self) -> int | None:
        """The process that holds the lock, which leads a group; None where nobody does.

        The group has its number for as long as any descendant holds the lock in its place.
        """
        for _ in range(_READS):
            text = (self.path / _LOCK).read_text() if self.lives() else ""
            if text.isdigit() and self.lives():
                return int(text)
            if not self.lives():
                return None
            time.sleep(_POLL_SECONDS)
        return None

    def _open_lock(self) -> int:
        return os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _write(self, name: str, text: str) -> None:
        with paths.disk_errors(self.path):
            made = self.path / f".{name}"
            made.write_text(text, encoding="utf-8")
            paths.fsync(made)
            made.replace(self.path / name)
            paths.fsync(self.path)


def taken(lock: int) -> bool:
    """Whether the open file of a lock is this process's now, until it is closed."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
