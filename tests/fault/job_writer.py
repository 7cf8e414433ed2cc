"""A worker's and a gateway's writing without the training between: `job_writer.py PLACE WORKER`.

After each commit a line on stdout: job, status, how many events it has; it ends when stdin does.
What a line says is in the database for good.
"""

from __future__ import annotations

import random
import sys
import threading
from pathlib import Path

from sqlalchemy import func, insert, select

from lmft.jobs.attempts import Attempts, Made
from lmft.jobs.job import Job, JobError, NewJob, Said
from lmft.jobs.queue import JobQueue, create
from lmft.object_ids import mint_id
from lmft.store.database import Store, open_store
from lmft.store.job_tables import events, files


def new_job(store: Store) -> Job:
    """A job with a file of its own."""
    file = mint_id("file-")
    row = {
        **{"id": file, "project": 1, "purpose": "fine-tune", "filename": "tales.txt"},
        **{"bytes": 1, "sha256": "0" * 64, "created_at": 1},
    }
    new = NewJob(
        project_id=1,
        key=None,
        method="sft",
        model="embedded",
        seed=1,
        adapter=f"ft:embedded:me:{file}",
        files=(file,),
        request={"text": "x" * 500},
        recipe={},
    )
    with store.writing() as connection:
        connection.execute(insert(files).values(row))
        return create(connection, new)


def n_events(store: Store, job: Job) -> int:
    with store.reading() as connection:
        counted = select(func.count()).select_from(events).where(events.c.job == job.number)
        return int(connection.scalar(counted) or 0)


def main() -> None:
    place, worker = sys.argv[1], sys.argv[2]
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    store = open_store(place if "://" in place else Path(place))
    # Often, so that a stop now and then falls into one.
    with store.reading() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA wal_autocheckpoint = 20")
    attempts, queue = Attempts(store, worker), JobQueue(store)
    chance = random.Random(worker)

    def tell(job: Job) -> Job:
        print(f"{job.id} {job.status} {n_events(store, job)}", flush=True)
        return job

    if left := attempts.active():
        tell(attempts.ended_early(left, "lost", "killed"))
    while not ended.is_set():
        job = tell(new_job(store))
        job = tell(attempts.validated(job, {"corpus": {}}, {}, 9, tokens=9))
        claimed = attempts.claim()
        if claimed is None:
            continue
        job = tell(claimed)
        for step in range(1, chance.randint(2, 9)):
            said = [Said("", data={"step": step, "loss": 1.0}, type="metrics"), Said("x" * 300)]
            job = tell(attempts.progress(job, said, step=step))
        if chance.random() < 0.2:
            job = tell(queue.ask("cancel", job.id))
            tell(attempts.ended_early(job, "stopped", ""))
        elif chance.random() < 0.2:
            tell(attempts.failed(job, JobError("server_error", "the trainer failed")))
        else:
            made = Made(job.adapter, 100, None, [(1, f"{job.adapter}:ckpt-step-1", {"loss": 1.0})])
            tell(attempts.succeeded(job, made))


if __name__ == "__main__":
    main()
