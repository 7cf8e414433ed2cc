"""`python -P -m lmft.jobs.child validate|train JOB ATTEMPT`: the work of one job, in a process of
its own. It reads and writes the job's directory, and never the database.

Its files say how it ended. The exit code stands in for them where not even those could be
written.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

from lmft.errors import DiskFullError, LmftError, MachineError, Stopped
from lmft.jobs.folder import EXIT_DISK_FULL, EXIT_LOCKED, RESULT, VALIDATED, JobFolder
from lmft.processes import PARENT_VARIABLE, die_with_parent

# For a trainer that was told to end and writes its last checkpoint.
_WAIT_SECONDS = 20.0

Said = dict[str, Any]


def main(arguments: list[str]) -> int:
    kind, job, attempt = arguments[0], arguments[1], int(arguments[2])
    if parent := os.environ.get(PARENT_VARIABLE):
        die_with_parent(int(parent))
    folder = JobFolder(job)
    if kind == "validate":
        return _told(folder, VALIDATED, attempt, _validate)
    try:
        with folder.locked(_WAIT_SECONDS):
            return _told(folder, RESULT, attempt, _train)
    except MachineError as error:
        print(error, flush=True)
        return EXIT_LOCKED


def _told(
    folder: JobFolder, name: str, attempt: int, work: Callable[[JobFolder, int], Said]
) -> int:
    """Do the work and write how it ended."""
    said, code = _ended(folder, attempt, work)
    try:
        folder.write(name, {"attempt": attempt, **said})
    except DiskFullError as error:
        print(error, flush=True)
        return EXIT_DISK_FULL
    return code


def _ended(
    folder: JobFolder, attempt: int, work: Callable[[JobFolder, int], Said]
) -> tuple[Said, int]:
    from lmft.train.durable.stopping import StopSignals

    try:
        with StopSignals():
            return {"ended": "done", **work(folder, attempt)}, 0
    except Stopped as stop:
        print(stop.message, flush=True)
        return {"ended": "stopped"}, stop.exit_code
    except LmftError as error:
        print(error, flush=True)
        return {"ended": "failed", **_told_of(error)}, error.exit_code
    except Exception as error:
        traceback.print_exc()
        sys.stderr.flush()
        return {"ended": "crashed", "message": f"{type(error).__name__}: {error}"[:500]}, 1


def _told_of(error: LmftError) -> Said:
    faults = list(getattr(error, "faults", ()))
    return {
        "code": error.code,
        "message": error.message,
        "hint": error.hint,
        "users_fault": error.exit_code == 2,
        "faults": faults,
        "n_faults": getattr(error, "n_faults", len(faults)),
    }


def _validate(folder: JobFolder, attempt: int) -> Said:
    from lmft.jobs.validation import validate

    return validate(folder)


def _train(folder: JobFolder, attempt: int) -> Said:
    from lmft.jobs.training import train

    return train(folder, attempt)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
