"""Jobs through faults at chosen moments, with the real worker and the real trainer.

What happens at random moments is in test_jobs_random_kills.py.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lmft.errors import DiskFullError, StoreError
from lmft.jobs.attempts import Attempts
from lmft.jobs.executors.base import Task
from lmft.jobs.executors.local import LocalExecutor
from lmft.jobs.folder import JobFolder
from lmft.jobs.job import Job
from lmft.jobs.laid_out import lay_out
from lmft.processes import SAME_STOP_SECONDS
from lmft.registry.adapters import open_adapter, verify
from tests.conftest import START_SECONDS
from tests.jobs import RECIPE, Home, alive, home_at, stop
from tests.tiny import make_base
from tests.unit.small_disk import mounted

# Of a trainer that is stopped (SIGSTOP): it hears no wish.
SHORT_GRACE = {"LMFT_STOP_SECONDS": "1"}
DAY = 24 * 3600


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    made: Path = tmp_path_factory.mktemp("bases") / "tiny"
    make_base(made, "gpt2")
    return made


@pytest.fixture
def home(tmp_path, base) -> Iterator[Home]:
    with home_at(tmp_path / "home", base) as made:
        yield made


@pytest.fixture(scope="module")
def wanted(base, tmp_path_factory) -> str:
    """The adapter of a job that nothing happens to."""
    with home_at(tmp_path_factory.mktemp("control") / "home", base) as home, home.worker():
        job = home.wait(home.create(home.stories()), "succeeded", "failed")
        return digest(home, job)


def digest(home: Home, job: Job) -> str:
    assert job.status == "succeeded", home.said(job)
    adapter = open_adapter(home.adapter(job))
    verify(adapter)
    return hashlib.sha256((adapter.path / "adapter_model.safetensors").read_bytes()).hexdigest()


def trainer_of(home: Home, job: Job) -> int:
    home.until(lambda: home.trainer(job) is not None, said=lambda: home.said(job))
    pid = home.trainer(job)
    assert pid is not None
    return pid


def until_step(home: Home, job: Job, step: int) -> None:
    home.until(lambda: home.get(job).step >= step, said=lambda: home.said(job))


def outcomes(home: Home, job: Job) -> list[str | None]:
    return [one.outcome for one in Attempts(home.store, "reader").of(job)]


def test_a_trainer_that_does_not_hear_a_cancel_is_killed(home):
    with home.worker(**SHORT_GRACE):
        job = home.create(home.stories())
        pid = trainer_of(home, job)
        stop(pid)
        home.queue.ask("cancel", job.id)
        home.wait(job, "cancelled")
        assert not alive(pid)
        assert not JobFolder(job.id).lives()
        assert not home.adapter(job).exists()
        assert outcomes(home, job) == ["cancelled"]


def test_a_job_that_was_cancelled_before_its_worker_died_is_not_resumed(home):
    worker = home.start_worker()
    job = home.create(home.stories())
    pid = trainer_of(home, job)
    # So that the worker cannot be quicker.
    stop(pid)
    home.queue.ask("cancel", job.id)
    worker.kill()
    worker.wait()
    assert home.get(job).status == "running"
    with home.worker(**SHORT_GRACE):
        home.wait(job, "cancelled")
    assert not alive(pid)
    assert home.get(job).attempt == 1


def test_a_worker_that_is_killed_takes_its_trainer_with_it_and_the_next_goes_on(home, wanted):
    worker = home.start_worker()
    job = home.create(home.stories())
    pid = trainer_of(home, job)
    until_step(home, job, 2)
    worker.kill()
    worker.wait()
    home.until(lambda: not alive(pid))
    with home.worker():
        job = home.wait(job, "succeeded", "failed")
    assert digest(home, job) == wanted
    assert len(home.metrics(job)) == len(set(home.metrics(job)))
    assert outcomes(home, job)[-1] == "done"


def test_sigterm_ends_worker_and_trainer_in_order_and_the_job_waits(home, wanted):
    worker = home.start_worker()
    job = home.create(home.stories())
    pid = trainer_of(home, job)
    until_step(home, job, 1)
    worker.terminate()
    assert worker.wait(START_SECONDS) == 0
    job = home.get(job)
    assert job.status == "queued"
    assert not alive(pid)
    assert outcomes(home, job) == ["stopped"]
    # Told to go on, it goes on from what it kept.
    with home.worker():
        job = home.wait(job, "succeeded", "failed")
    assert digest(home, job) == wanted
    assert any("goes on from step" in message for message in home.messages(job))


def test_a_second_sigterm_ends_the_worker_at_once(home):
    worker = home.start_worker()
    job = home.create(home.stories())
    pid = trainer_of(home, job)
    stop(pid)
    worker.terminate()
    # With the first one: who stops a service tells all of its processes.
    worker.terminate()
    time.sleep(SAME_STOP_SECONDS + 1)
    assert worker.poll() is None, "it waits for the trainer"
    worker.terminate()
    assert worker.wait(START_SECONDS) == 128 + signal.SIGTERM
    home.until(lambda: not alive(pid))
    assert home.get(job).status == "running"


def test_a_zombie_trainer_is_ended_before_the_next_begins_and_publishes_nothing(home, wanted):
    worker = home.start_worker()
    job = home.create(home.stories())
    zombie = trainer_of(home, job)
    until_step(home, job, 1)
    stop(zombie)
    worker.kill()
    worker.wait()
    assert alive(zombie)
    with home.worker(**SHORT_GRACE):
        home.until(lambda: home.get(job).attempt == 2, said=lambda: home.said(job))
        assert not alive(zombie), "two trainers of one job"
        job = home.wait(job, "succeeded", "failed")
    assert digest(home, job) == wanted
    assert outcomes(home, job) == ["lost", "done"]


def test_the_fence_keeps_an_old_attempt_from_publishing(home, wanted):
    """Also where the lock would not: the attempt before is alive, and trains to its end."""
    job = home.create(home.stories())
    executor, folder = LocalExecutor(), JobFolder(job.id)
    lay_out(job, folder, home.store)
    first, second = (Task("train", job.id, number, {"OMP_NUM_THREADS": "1"}) for number in (1, 2))
    folder.admit(1)
    executor.submit(first)
    home.until((home.run(job) / "metrics.jsonl").exists)
    folder.admit(2)
    said = ended(home, executor, first)
    assert said["code"] == "stale_attempt", executor.logs(first.handle)
    assert not home.adapter(job).exists()
    executor.submit(second)
    said = ended(home, executor, second)
    assert said["ended"] == "done", executor.logs(second.handle)
    weights = (home.adapter(job) / "adapter_model.safetensors").read_bytes()
    assert hashlib.sha256(weights).hexdigest() == wanted


def ended(home: Home, executor: LocalExecutor, task: Task) -> dict[str, Any]:
    home.until(lambda: executor.poll(task.handle) is not None)
    said = executor.collect(task.handle)
    assert said is not None, executor.logs(task.handle)
    return said


def test_a_trainer_that_is_lost_again_and_again_without_getting_further_has_failed(home):
    with home.worker():
        job = home.create(home.stories())
        for _ in range(3):
            pid = trainer_of(home, job)
            os.kill(pid, signal.SIGKILL)
            home.until(lambda gone=pid: home.trainer(job) != gone)
        job = home.wait(job, "failed", "succeeded")
    assert job.error is not None
    assert job.error.code == "no_progress"
    assert outcomes(home, job) == ["lost", "lost", "failed"]


def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_is_used(home, wanted):
    with home.worker() as worker:
        job = home.create(home.stories())
        pid = trainer_of(home, job)
        checkpoints = home.run(job) / "checkpoints"
        home.until(lambda: len(list(checkpoints.glob("step-*"))) == 2)
        stop(worker.pid)
        os.kill(pid, signal.SIGKILL)
        home.until(lambda: not alive(pid))
        flip(max(checkpoints.glob("step-*")) / "adapter.safetensors")
        os.kill(worker.pid, signal.SIGCONT)
        job = home.wait(job, "succeeded", "failed")
    assert digest(home, job) == wanted
    assert [one.name.partition("-")[0] for one in (home.run(job) / "quarantine").iterdir()]


def test_with_no_checkpoint_that_can_be_read_it_fails_and_says_so(home):
    with home.worker() as worker:
        job = home.create(home.stories())
        pid = trainer_of(home, job)
        checkpoints = home.run(job) / "checkpoints"
        home.until(lambda: len(list(checkpoints.glob("step-*"))) == 2)
        stop(worker.pid)
        os.kill(pid, signal.SIGKILL)
        home.until(lambda: not alive(pid))
        for checkpoint in checkpoints.glob("step-*"):
            flip(checkpoint / "adapter.safetensors")
        os.kill(worker.pid, signal.SIGCONT)
        job = home.wait(job, "succeeded", "failed")
    assert job.error is not None
    assert job.error.code == "checkpoint_corrupt"


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def test_a_cancel_that_races_the_end_leaves_a_model_or_a_cancelled_job_never_both(home):
    with home.worker():
        job = home.create(home.stories())
        home.until(home.adapter(job).exists, said=lambda: home.said(job))
        if not home.get(job).ended:
            home.queue.ask("cancel", job.id)
        job = home.wait(job, "succeeded", "cancelled")
    assert home.adapter(job).exists() == (job.status == "succeeded")
    ends = [text for text in home.messages(job) if "cancelled" in text or "successfully" in text]
    assert len(ends) == 1


def test_a_full_disk_fails_the_job_and_harms_nothing(tmp_path, base):
    with mounted(tmp_path / "small", "size=80m") as disk, home_at(disk, base) as home:
        with home.worker():
            job = home.create(home.stories(), recipe=patient())
            until_step(home, job, 2)
            filler = disk / "filler"
            fill(filler)
            # The database is on that disk too: it can be read meanwhile, and told later.
            with pytest.raises((StoreError, DiskFullError)):
                write_much(home)
            assert home.get(job).status == "running"
            home.until(lambda: home.trainer(job) is None, said=lambda: home.said(job))
            filler.unlink()
            job = home.wait(job, "failed", "succeeded")
            assert job.error is not None
            assert job.error.code == "storage_full"
            assert not list((home.run(job) / "checkpoints").glob(".*"))
            assert not home.adapter(job).exists()
        assert faults_of(home) == []


def patient() -> dict[str, object]:
    """Long enough for a disk to be filled meanwhile."""
    return {**RECIPE, "training": {**RECIPE["training"], "epochs": 20}}


def fill(file: Path) -> None:
    with contextlib.suppress(OSError), file.open("wb", buffering=0) as filler:
        while True:
            filler.write(bytes(4096))


def write_much(home: Home) -> None:
    for _ in range(200):
        home.create(("file-none",), recipe={"x": "y" * 100_000})


def faults_of(home: Home) -> list[str]:
    from lmft.store.care import faults

    return list(faults(home.store))


def test_a_clock_that_is_a_day_off_rescues_nothing_and_ends_nothing(home, wanted, tmp_path):
    """Forward, back, and the other way, while a job is trained."""
    offset = tmp_path / "offset"
    offset.write_text("0")
    preload = {"LD_PRELOAD": str(compiled_clock(tmp_path)), "CLOCK_OFFSET": str(offset)}
    with home.worker(**preload):
        job = home.create(home.stories())
        for step, seconds in ((1, DAY), (2, -DAY), (4, 0)):
            until_step(home, job, step)
            offset.write_text(str(seconds))
        job = home.wait(job, "succeeded", "failed")
    assert digest(home, job) == wanted
    assert outcomes(home, job) == ["done"]


def compiled_clock(directory: Path) -> Path:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("NOT TESTED: no C compiler for a clock that goes wrong")
    made = directory / "clock.so"
    source = Path(__file__).with_name("clock.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", made, source, "-ldl"], check=True)
    return made
