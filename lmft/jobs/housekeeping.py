"""What a worker does beside the jobs: webhooks are sent, what has expired is removed."""

from __future__ import annotations

import contextlib
import logging
import shutil
import threading
import time
from collections.abc import Callable

from lmft import paths
from lmft.errors import InputError, LmftError, NotFoundError
from lmft.files.sweep import sweep
from lmft.jobs.deployed import take_away
from lmft.jobs.folder import JOB_PREFIX, JobFolder
from lmft.jobs.leftovers import remove_leftovers, sweep_runs
from lmft.jobs.queue import JobQueue
from lmft.store.database import Store
from lmft.webhooks.sender import Sender

log = logging.getLogger("lmft.jobs")

_SEND_SECONDS = 1.0
_SWEEP_SECONDS = 3600.0


def start_housekeeping(store: Store) -> None:
    """In threads of their own, which end with the process: a receiver may take its time."""
    sender = Sender(store)
    for name, every, act in (
        ("webhooks", _SEND_SECONDS, sender.deliver_due),
        ("sweep", _SWEEP_SECONDS, lambda: _sweep(store)),
    ):
        thread = threading.Thread(target=_again, args=(every, act), name=name, daemon=True)
        thread.start()


def let_go(store: Store, job: str) -> None:
    """Remove what a job that has ended leaves: its training files, since who deletes a file means
    its text; of one that was cancelled or has failed whatever it had published already, but what
    failed its probe alone, which is kept to look into; and checkpoints that nobody needs.

    Raises:
        StoreError: it is done later.
    """
    folder, now = JobFolder(job), JobQueue(store).get(job)
    if now.ended:
        if now.status != "succeeded" and not (now.error and now.error.code == "probe_failed"):
            take_away(store, now.adapter)
        for directory in (folder.data, folder.validation):
            shutil.rmtree(directory, ignore_errors=True)
        try:
            remove_leftovers(now)
        except OSError as error:
            # The sweep tries again.
            log.error("%s: %s", job, error)


def _sweep(store: Store) -> None:
    sweep(store)
    # Of jobs that were cancelled while they waited, and by workers that died.
    for directory in paths.jobs_dir().glob(f"{JOB_PREFIX}*/*"):
        if directory.name in ("data", "validation") and directory.is_dir():
            with contextlib.suppress(NotFoundError, InputError):
                let_go(store, directory.parent.name)
    sweep_runs(store)


def _again(every_seconds: float, act: Callable[[], object]) -> None:
    while True:
        try:
            act()
        except (LmftError, OSError) as error:
            log.error("%s", error)
        except Exception:
            # It must be there tomorrow too.
            log.exception("housekeeping")
        time.sleep(every_seconds)
