"""Several workers at once: each job is done by one of them, once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import update

from lmft.jobs.attempts import Attempts
from lmft.store.job_tables import jobs
from tests.conftest import ROOT, START_SECONDS
from tests.jobs import Home, home_at

JOBS = 100


@pytest.fixture
def home(tmp_path):
    with home_at(tmp_path / "home", tmp_path / "no-base") as made:
        yield made


def start(home: Home, name: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "tests.fault.worker_of_nothing", name],
        env=home.environment(PYTHONPATH=str(ROOT)),
        cwd=ROOT,
    )


def test_two_workers_do_a_hundred_jobs_once_each(home):
    file = home.file("nothing.txt", b"nothing to learn")
    made = [home.create((file,)) for _ in range(JOBS)]
    with home.store.writing() as connection:
        connection.execute(update(jobs).values(status="queued", report="{}"))
    workers = [start(home, name) for name in ("one", "two")]
    assert [worker.wait(START_SECONDS) for worker in workers] == [0, 0]
    ran = [line.split() for line in (home.path / "ran").read_text().splitlines()]
    assert Counter(job for job, _ in ran) == Counter(job.id for job in made)
    assert {int(worker) for _, worker in ran} == {worker.pid for worker in workers}
    for job in made:
        now = home.get(job)
        assert (now.status, now.attempt) == ("failed", 1), home.said(job)
        (attempt,) = Attempts(home.store, "reader").of(job)
        assert attempt.outcome == "failed"


def test_a_second_worker_here_stands_by_and_takes_over(home):
    """Of those that `lmft worker` and `lmft serve` start."""
    job = home.create((home.file("nothing.txt", b"nothing to learn"),))
    first = home.start_worker()
    home.wait(job, "failed")
    second = home.start_worker()
    other = home.create((home.file("nothing.txt", b"nothing more"),))
    home.wait(other, "failed")
    os.kill(first.pid, 9)
    first.wait()
    third = home.create((home.file("nothing.txt", b"nothing at all"),))
    home.wait(third, "failed")
    second.terminate()
    assert second.wait(START_SECONDS) == 0
    name = Path(home.path / "jobs" / "worker.lock").read_text()
    assert name.startswith("worker-")
