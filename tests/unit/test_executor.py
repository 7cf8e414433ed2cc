"""The local executor, with real processes: begun once, seen by others, ended with their helpers."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from lmft.errors import InputError
from lmft.jobs.executors.base import Exited, Task
from lmft.jobs.executors.local import LocalExecutor
from lmft.jobs.folder import JobFolder
from lmft.object_ids import mint_id
from tests.jobs import alive

MODULE = "tests.unit.executor_child"


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("LMFT_HOME", str(tmp_path))
    # The child is one of the tests, which -P keeps from being found.
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[2]))
    return tmp_path


@pytest.fixture
def executor(home):
    return LocalExecutor(MODULE)


def task(does: str, kind: str = "train", attempt: int = 1) -> Task:
    return Task(kind, mint_id("ftjob-"), attempt, {"CHILD_DOES": does})


def ended(executor, handle) -> Exited:
    deadline = time.monotonic() + 60
    while (exited := executor.poll(handle)) is None:
        assert time.monotonic() < deadline, executor.logs(handle)
        time.sleep(0.02)
    return exited


def started(executor, handle, what: str = "ready") -> list[int]:
    """Process ids that the child has printed after `what`."""
    deadline = time.monotonic() + 60
    while what not in (text := executor.logs(handle)):
        assert time.monotonic() < deadline, text
        time.sleep(0.02)
    line = next(line for line in text.splitlines() if line.startswith(what))
    return [int(word) for word in line.split()[1:]]


def test_a_task_is_done_and_says_what_it_came_to(executor):
    one = task("finish")
    handle = executor.submit(one)
    assert ended(executor, handle) == Exited(0)
    assert executor.collect(handle) == {"attempt": 1, "ended": "done"}
    assert "finished" in executor.logs(handle)


def test_it_is_begun_once(executor):
    one = task("wait")
    handle = executor.submit(one)
    (pid,) = started(executor, handle)
    assert executor.submit(one) == handle
    # Another process, as after a restart.
    assert LocalExecutor(MODULE).submit(one) == handle
    assert executor.logs(handle).count("ready") == 1
    executor.cancel(handle, force=True)
    assert ended(executor, handle) == Exited(signal=signal.SIGKILL)
    assert not alive(pid)


def test_another_process_sees_it_and_ends_it(executor):
    handle = executor.submit(task("wait"))
    started(executor, handle)
    other = LocalExecutor(MODULE)
    assert other.poll(handle) is None
    other.cancel(handle, force=False)
    assert ended(executor, handle) == Exited(128 + signal.SIGTERM)
    # Who has not started it did not see how it ended.
    assert other.poll(handle) == Exited()
    assert other.collect(handle) == {"attempt": 1, "ended": "stopped"}


def test_what_ignores_a_wish_is_killed(executor):
    handle = executor.submit(task("ignore"))
    started(executor, handle)
    executor.cancel(handle, force=False)
    started(executor, handle, "ignored")
    assert executor.poll(handle) is None
    executor.cancel(handle, force=True)
    assert ended(executor, handle) == Exited(signal=signal.SIGKILL)
    assert executor.collect(handle) is None


def test_helpers_end_with_it(executor):
    handle = executor.submit(task("fork"))
    _, helper = started(executor, handle)
    ended(executor, handle)
    deadline = time.monotonic() + 60
    while alive(helper):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_helper_that_holds_the_lock_counts_as_the_trainer(executor):
    handle = executor.submit(task("fork"))
    pid, helper = started(executor, handle)
    other = LocalExecutor(MODULE)
    os.kill(pid, signal.SIGKILL)
    assert other.poll(handle) is None
    other.cancel(handle, force=True)
    assert ended(other, handle) == Exited()
    assert not alive(helper)
    assert ended(executor, handle) == Exited(signal=signal.SIGKILL)


def test_it_has_a_session_of_its_own_and_none_of_the_secrets(executor, monkeypatch):
    for name in ("LMFT_API_KEY", "LMFT_PARENT_KEY", "LMFT_DATABASE_URL", "WANDB_API_KEY"):
        monkeypatch.setenv(name, "secret-value")
    handle = executor.submit(task("wait"))
    (pid,) = started(executor, handle)
    assert os.getsid(pid) == pid != os.getsid(0)
    environment = Path(f"/proc/{pid}/environ").read_bytes()
    assert b"secret-value" not in environment
    assert b"CHILD_DOES=wait" in environment
    executor.cancel(handle, force=True)
    ended(executor, handle)


def test_what_an_earlier_attempt_said_is_not_taken_for_this_ones(executor):
    first = task("finish")
    ended(executor, executor.submit(first))
    second = Task("train", first.job, 2, {"CHILD_DOES": "vanish"})
    handle = executor.submit(second)
    ended(executor, handle)
    assert executor.collect(handle) is None


def test_a_second_trainer_waits_for_the_lock_and_gives_up(home):
    executor = LocalExecutor(MODULE)
    one = task("wait")
    handle = executor.submit(one)
    started(executor, handle)
    assert JobFolder(one.job).lives()
    assert not JobFolder(mint_id("ftjob-")).lives()
    executor.cancel(handle, force=True)
    ended(executor, handle)
    assert not JobFolder(one.job).lives()


def test_the_log_stays_small(executor):
    handle = executor.submit(task("chatter"))
    ended(executor, handle)
    folder = JobFolder(handle.partition(".")[0])
    executor.submit(Task("train", folder.job, 2, {"CHILD_DOES": "finish"}))
    assert folder.log.stat().st_size <= 8 << 20
    ended(executor, f"{folder.job}.train.2")


@pytest.mark.parametrize("handle", ["", "../x", "ftjob-1.train.1", "ftjob-" + "0" * 24 + ".run.1"])
def test_a_handle_never_becomes_a_path(executor, handle):
    with pytest.raises(InputError):
        executor.poll(handle)
