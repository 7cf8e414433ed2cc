"""A worker whose jobs are done at once, each by a real process; started by test_jobs_workers.py.

usage: worker_of_nothing.py NAME            until nothing is left
       worker_of_nothing.py --child KIND JOB ATTEMPT
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

from lmft import paths
from lmft.jobs.folder import RESULT, JobFolder


def child(job: str, attempt: int) -> None:
    folder = JobFolder(job)
    with folder.locked(5):
        folder.require(attempt)
        ran = os.open(paths.home() / "ran", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(ran, f"{job} {os.environ['LMFT_PARENT_PID']}\n".encode())
        told = {"code": "nothing_to_train", "message": "Done.", "hint": "", "users_fault": True}
        folder.write(RESULT, {"attempt": attempt, "ended": "failed", **told})


def work(name: str) -> None:
    from lmft.jobs.executors.local import LocalExecutor
    from lmft.jobs.job import Job
    from lmft.jobs.queue import read_all
    from lmft.jobs.worker import Worker
    from lmft.store.database import Store, open_store
    from lmft.store.job_tables import jobs

    def left(store: Store) -> list[Job]:
        with store.reading() as connection:
            return read_all(connection, jobs.c.status.in_(("queued", "running")))

    store = open_store()
    worker = Worker(store, LocalExecutor("tests.fault.worker_of_nothing"), name, poll_seconds=0.02)
    leaving = threading.Event()

    def watch() -> None:
        while left(store):
            time.sleep(0.1)
        leaving.set()

    threading.Thread(target=watch, daemon=True).start()
    worker.run(leaving)


if __name__ == "__main__":
    if len(sys.argv) == 4:
        child(sys.argv[2], int(sys.argv[3]))
    else:
        sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
        work(sys.argv[1])
