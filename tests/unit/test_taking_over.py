"""What a worker that is gone left in hand: queued again by a person, unless it lives after all."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from lmft.errors import NotFoundError
from lmft.jobs.attempts import Attempts
from lmft.jobs.events import StaleAttemptError
from lmft.jobs.folder import FencedError, JobFolder
from lmft.jobs.job import Job, Said
from lmft.jobs.queue import JobQueue
from lmft.jobs.seat import Seat
from lmft.jobs.states import Verb
from lmft.jobs.taking_over import WorkerLivesError, left_by_others, taken_over
from lmft.store.database import Store
from tests.conftest import ROOT, START_SECONDS
from tests.unit.test_job_attempts import queued

GONE = "worker-00000000deadbeef"


def in_hand(store: Store, worker: str = GONE) -> Job:
    queued(store, 1)
    job = Attempts(store, worker).claim()
    assert job is not None
    return job


def test_what_it_had_is_queued_and_nothing_that_it_still_says_counts(store: Store) -> None:
    job = in_hand(store)
    folder = JobFolder(job.id)
    folder.make()
    folder.admit(job.attempt)
    assert taken_over(store, GONE, 0).status == "queued"
    with pytest.raises(StaleAttemptError):
        Attempts(store, GONE).progress(job, [Said("late")], step=9)
    with pytest.raises(FencedError):
        folder.require(job.attempt)
    (attempt,) = Attempts(store, "one").of(job)
    assert attempt.outcome == "lost"
    again = Attempts(store, "one").claim()
    assert again is not None
    assert (again.id, again.attempt) == (job.id, 2)


@pytest.mark.parametrize(("verb", "status"), [("cancel", "cancelled"), ("pause", "paused")])
def test_what_was_wished_of_it_comes_true(store: Store, verb: Verb, status: str) -> None:
    job = in_hand(store)
    JobQueue(store).ask(verb, job.id)
    assert taken_over(store, GONE, 0).status == status


def test_a_name_that_nobody_has_is_refused_with_those_that_there_are(store: Store) -> None:
    with pytest.raises(NotFoundError, match="Nothing is in anybody's hands"):
        taken_over(store, GONE, 0)
    job = in_hand(store)
    with pytest.raises(NotFoundError, match=rf"There are: {GONE} \({job.id}\)"):
        taken_over(store, "worker-x", 0)


def test_a_worker_that_is_at_work_here_is_left_its_own(store: Store) -> None:
    seat = Seat()
    assert seat.taken()
    name = seat.name()
    job = in_hand(store, name)
    with pytest.raises(WorkerLivesError):
        taken_over(store, name, 0)
    assert JobQueue(store).get(job.id).status == "running"


def test_one_whose_trainer_lives_is_left_its_own(store: Store) -> None:
    folder = JobFolder(in_hand(store).id)
    folder.make()
    with folder.locked(0), pytest.raises(WorkerLivesError):
        taken_over(store, GONE, 0)
    assert taken_over(store, GONE, 0).status == "queued"


def test_one_that_writes_meanwhile_is_left_its_own(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somewhere else, so that only the database shows it."""
    job, real = in_hand(store), time.sleep

    def sleep(seconds: float) -> None:
        Attempts(store, GONE).progress(job, [Said("Step 2")])
        real(seconds)

    monkeypatch.setattr(time, "sleep", sleep)
    with pytest.raises(WorkerLivesError):
        taken_over(store, GONE, 0)


def test_what_people_ask_of_its_job_is_no_sign_of_life(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = in_hand(store)
    monkeypatch.setattr(time, "sleep", lambda _: JobQueue(store).ask("cancel", job.id))
    assert taken_over(store, GONE, 0).status == "cancelled"


def test_the_command_queues_it_and_ends(store: Store) -> None:
    job = in_hand(store)
    (line,) = left_by_others(store, "one")
    assert job.id in line
    assert left_by_others(store, GONE) == []
    command = line.rpartition(": ")[2].split()
    assert command[0] == "lmft"
    done = subprocess.run(
        [sys.executable, "-m", "lmft.cli", *command[1:]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=True,
    )
    assert done.stdout == f"{job.id} is queued now.\n"
    assert JobQueue(store).get(job.id).status == "queued"


def test_a_worker_stands_where_it_stood_after_its_name_was_asked_for(store: Store) -> None:
    assert Seat().holder() is None
    seat = Seat()
    assert seat.taken()
    name = seat.name()
    assert Seat().holder() == name
    assert not Seat().taken()
