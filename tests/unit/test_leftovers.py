"""Checkpoints of jobs that are over: gone when nobody goes on from them, and no others."""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path

import pytest

from lmft.ids import parse_adapter_id
from lmft.jobs import housekeeping, leftovers
from lmft.jobs.attempts import Attempts
from lmft.jobs.folder import JobFolder
from lmft.jobs.housekeeping import let_go
from lmft.jobs.job import Job, JobError
from lmft.jobs.leftovers import sweep_runs
from lmft.jobs.queue import JobQueue
from lmft.store.database import Store
from tests.unit.test_job_attempts import queued

PARTS = ("checkpoints", "epochs", "quarantine")


def run_of(job: Job, home: Path) -> Path:
    """Its run, as a trainer leaves it."""
    adapter = parse_adapter_id(job.adapter)
    assert adapter is not None
    return run_at(home / "runs" / adapter.directory, job.adapter)


def run_at(run: Path, adapter: str) -> Path:
    for part in PARTS:
        (run / part / "step-00000002").mkdir(parents=True)
        (run / part / "step-00000002" / "model.safetensors").write_bytes(b"weights")
    (run / "run.json").write_text(json.dumps({"adapter": adapter}))
    (run / "metrics.jsonl").touch()
    (run / "lock").touch()
    return run


def parts(run: Path) -> set[str]:
    return {path.name for path in run.iterdir() if path.is_dir()}


def ended(store: Store, number: int, *, cancelled: bool) -> Job:
    job, attempts = queued(store, number), Attempts(store, "one")
    running = attempts.claim()
    assert running is not None
    if cancelled:
        JobQueue(store).ask("cancel", job.id)
        return attempts.ended_early(running, "stopped", "")
    return attempts.failed(running, JobError("storage_full", "The disk is full."))


def wait_a_week(monkeypatch: pytest.MonkeyPatch) -> None:
    later = time.time() + leftovers.KEPT_SECONDS + 60
    monkeypatch.setattr(time, "time", lambda: later)


def test_a_cancelled_job_keeps_no_checkpoints(store: Store, tmp_path: Path) -> None:
    job = ended(store, 1, cancelled=True)
    run = run_of(job, tmp_path)
    let_go(store, job.id)
    assert parts(run) == {"quarantine"}
    assert (run / "metrics.jsonl").exists()


def test_one_that_was_cancelled_while_it_waited_is_found(store: Store, tmp_path: Path) -> None:
    job, attempts = queued(store, 1), Attempts(store, "one")
    run = run_of(job, tmp_path)
    running = attempts.claim()
    assert running is not None
    JobQueue(store).ask("pause", job.id)
    assert attempts.ended_early(running, "stopped", "").status == "paused"
    sweep_runs(store)
    assert parts(run) == set(PARTS)
    JobQueue(store).ask("cancel", job.id)
    housekeeping._sweep(store)
    assert parts(run) == {"quarantine"}


def test_a_failed_job_keeps_them_for_a_week(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = ended(store, 1, cancelled=False)
    run = run_of(job, tmp_path)
    let_go(store, job.id)
    sweep_runs(store)
    assert parts(run) == set(PARTS)
    wait_a_week(monkeypatch)
    sweep_runs(store)
    assert parts(run) == set()
    assert (run / "run.json").exists()


def test_whoever_goes_on_with_a_failed_job_by_hand_has_another_week(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(ended(store, 1, cancelled=False), tmp_path)
    wait_a_week(monkeypatch)
    os.utime(run / "run.json", (time.time() - 3_600,) * 2)
    sweep_runs(store)
    assert parts(run) == set(PARTS)


def test_what_is_at_work_is_left_alone(store: Store, tmp_path: Path) -> None:
    job = ended(store, 1, cancelled=True)
    run = run_of(job, tmp_path)
    with (run / "lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        let_go(store, job.id)
        assert parts(run) == set(PARTS)
    folder = JobFolder(job.id)
    folder.make()
    with folder.locked(0):
        sweep_runs(store)
        assert parts(run) == set(PARTS)
    sweep_runs(store)
    assert parts(run) == {"quarantine"}


def test_runs_of_no_job_and_of_jobs_that_go_on_are_left_alone(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = run_of(queued(store, 1), tmp_path)
    # As `lmft train` makes it; and one that happens to be called as a job's.
    by_hand = run_at(tmp_path / "runs" / "tale-0a0a0a0a", "ft:embedded:me:tale:0a0a0a0a")
    other = queued(store, 2)
    JobQueue(store).ask("cancel", other.id)
    adapter = parse_adapter_id(other.adapter)
    assert adapter is not None
    alike = run_at(tmp_path / "runs" / adapter.directory, "ft:other:me:tiny:00000002")
    wait_a_week(monkeypatch)
    housekeeping._sweep(store)
    for run in (waiting, by_hand, alike):
        assert parts(run) == set(PARTS)


def test_what_a_killed_worker_had_begun_to_remove_goes(store: Store, tmp_path: Path) -> None:
    job = ended(store, 1, cancelled=True)
    run = run_of(job, tmp_path)
    (run / ".removed-checkpoints" / "step-00000001").mkdir(parents=True)
    sweep_runs(store)
    assert parts(run) == {"quarantine"}
