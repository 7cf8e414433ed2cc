"""What the run of a job that is over leaves on the disk, and when it goes.

    runs/NAME-KEY/checkpoints, epochs   where the job did not fail: now. Where it did, a person may
                                        go on by hand (`lmft train --resume`): after KEPT_SECONDS
    runs/NAME-KEY/quarantine            checkpoints that were damaged: after KEPT_SECONDS

Only of runs that say that they are this job's, and that no process holds.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

from sqlalchemy import select

from lmft import paths
from lmft.ids import parse_adapter_id
from lmft.jobs.folder import JobFolder, taken
from lmft.jobs.job import Job
from lmft.jobs.queue import JobQueue
from lmft.store.database import Store
from lmft.store.job_tables import ENDED, jobs

# Since the job has ended, or since somebody went on with its run.
KEPT_SECONDS = 7 * 86_400
_GONE_ON_FROM, _EVIDENCE = ("checkpoints", "epochs"), ("quarantine",)
# As lmft.train.durable.runs has them, which is not for a worker to import.
_RECORD, _LOCK = "run.json", "lock"
# Half of a checkpoint under its own name would look damaged.
_DOOMED = ".removed-"
_LEFT = (*_GONE_ON_FROM, *_EVIDENCE, f"{_DOOMED}*")


def remove_leftovers(job: Job) -> None:
    """What nobody goes on from any more; does nothing while the job or its run is at work.

    Raises:
        OSError: it is done later.
    """
    parsed = parse_adapter_id(job.adapter)
    if parsed is None or not job.ended:
        return
    run = paths.runs_dir() / parsed.directory
    try:
        lock = os.open(run / _LOCK, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if taken(lock) and _adapter_of(run) == job.adapter and not JobFolder(job.id).lives():
            _remove(run, job)
    finally:
        os.close(lock)


def sweep_runs(store: Store) -> None:
    """`remove_leftovers` of all jobs: those that were cancelled while they waited, whose time is
    up, whose worker died.

    Raises:
        StoreError, OSError: it is done later.
    """
    left = {path.parent.name for name in _LEFT for path in paths.runs_dir().glob(f"*/{name}")}
    if not left:
        return
    with store.reading() as connection:
        over = select(jobs.c.id, jobs.c.adapter).where(jobs.c.status.in_(ENDED))
        found = [(id, parse_adapter_id(adapter)) for id, adapter in connection.execute(over)]
    for id, adapter in found:
        if adapter is not None and adapter.directory in left:
            remove_leftovers(JobQueue(store).get(id))


def _remove(run: Path, job: Job) -> None:
    touched = max(job.finished_at or 0, (run / _RECORD).stat().st_mtime)
    old = time.time() - touched > KEPT_SECONDS
    names = _GONE_ON_FROM if old or job.status != "failed" else ()
    for name in (*names, *(_EVIDENCE if old else ())):
        if (run / name).is_dir():
            (run / name).rename(_free(run / f"{_DOOMED}{name}"))
    for doomed in run.glob(f"{_DOOMED}*"):
        shutil.rmtree(doomed, ignore_errors=True)


def _adapter_of(run: Path) -> str | None:
    """What the run will be published under, as it says itself; None where it says nothing."""
    try:
        found = json.loads((run / _RECORD).read_bytes())
    except (OSError, ValueError):
        return None
    return str(found.get("adapter")) if isinstance(found, dict) else None


def _free(path: Path) -> Path:
    """It, or it with a number behind: what is doomed already may not be gone."""
    names = (path.with_name(f"{path.name}-{number}") for number in range(1, 1_000))
    return path if not path.exists() else next(one for one in names if not one.exists())
