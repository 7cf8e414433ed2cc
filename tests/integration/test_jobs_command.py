"""`lmft jobs` over the store and over HTTP: the same objects, told the same way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lmft.jobs import queue
from lmft.jobs.attempts import Attempts
from lmft.jobs.job import Job, JobError, Said
from lmft.jobs.queue import JobQueue
from lmft.jobs.request import Start, new_job
from lmft.jobs_shown import curve
from lmft.store.database import Store
from tests.conftest import ROOT, START_SECONDS
from tests.integration.bare_gateway import bare_gateway


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Store]]:
    monkeypatch.setenv("LMFT_HOME", str(tmp_path))
    with bare_gateway(tmp_path) as served:
        yield served


def made(store: Store) -> Job:
    body = {"model": "embedded", "training_file": "file-a"}
    new = new_job(body, Start("embedded", "embedded"), project_id=1, project="me")
    with store.writing() as connection:
        return queue.create(connection, new)


def command(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "lmft.cli", "jobs", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ},
    )


def done(*arguments: str) -> tuple[int, str, str]:
    process = command(*arguments)
    out, err = process.communicate(timeout=START_SECONDS)
    return process.returncode, out, err


def test_the_store_and_a_server_say_the_same(served: tuple[str, Store]) -> None:
    url, store = served
    job = made(store)
    for what in (("list", "--json"), ("show", job.id, "--json")):
        here, there = done(*what), done(*what, "--url", url)
        assert here[0] == there[0] == 0, here + there
        assert json.loads(here[1]) == json.loads(there[1])
    listed = done("list")[1]
    assert job.id in listed
    assert "validating_files" in listed
    assert f"{job.id} is cancelled." in done("cancel", job.id, "--url", url)[1]
    code, _, err = done("cancel", job.id)
    assert code == 2
    assert "cannot cancel" in err
    for where in ((), ("--url", url)):
        code, _, err = done("show", "ftjob-0", *where)
        assert code == 2
        assert "ftjob-0" in err


@pytest.mark.parametrize("remote", [False, True])
def test_follow_shows_all_and_ends_as_the_job_does(served: tuple[str, Store], remote: bool) -> None:
    url, store = served
    job, worker = made(store), Attempts(store, "w")
    process = command("follow", job.id, *(["--url", url] if remote else []))
    assert process.stdout is not None
    # It follows from here on.
    first = process.stdout.readline()
    assert "Created fine-tuning job" in first
    worker.validated(job, {}, {}, 4, tokens=4)
    running = worker.claim()
    assert running is not None
    rows = [Said(f"Step {n}/4", data={"step": n, "loss": 3.0 / n}, type="metrics") for n in (1, 2)]
    worker.progress(running, rows, step=2)
    worker.failed(running, JobError("diverged", "The loss is no number any more."))
    out, err = process.communicate(timeout=START_SECONDS)
    assert process.returncode == 1, out + err
    assert "Fine-tuning job started" in out
    assert "The loss is no number any more." in out
    assert "failed  step 2 of 4  loss 1.50" in out


def test_ctrl_c_leaves_the_job_running_and_says_so(served: tuple[str, Store]) -> None:
    _, store = served
    job = made(store)
    process = command("follow", job.id)
    assert process.stdout is not None
    assert "Created" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=START_SECONDS)
    assert process.returncode == 130
    assert "The job goes on without you" in err
    assert JobQueue(store).get(job.id).status == "validating_files"


def test_a_curve_is_no_wider_than_its_columns() -> None:
    assert curve([3.0, 2.0, 1.0]) == "█▅▁"
    assert len(curve([float(n) for n in range(1000)])) == 40
    assert curve([1.0]) == "▁"
