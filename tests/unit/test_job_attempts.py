"""A worker's side of the jobs, against the real database: whatever people and workers do, in any
order, a job ends once, and an attempt that is over changes nothing."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from lmft.jobs.attempt import Made
from lmft.jobs.attempts import Attempts
from lmft.jobs.events import StaleAttemptError, checkpoints_of, events_since
from lmft.jobs.job import Job, JobError, NewJob, Said
from lmft.jobs.queue import JobQueue, create
from lmft.jobs.states import ENDED, GOES_TO, StateConflictError
from lmft.store.database import Store, open_store
from lmft.store.job_tables import attempts as attempts_table
from lmft.store.job_tables import jobs as jobs_table
from lmft.store.tables import projects
from lmft.webhooks.endpoints import Endpoints
from lmft.webhooks.outbox import Outbox

WORKERS = ("one", "two")


def new_job(store: Store, number: int, **changes) -> Job:
    given = {
        "project_id": 1,
        "key": None,
        "method": "sft",
        "model": "embedded",
        "seed": 1,
        "adapter": f"ft:embedded:me:tiny:{number:08x}",
        "files": ("file-1",),
        "request": {},
        "recipe": {},
    }
    with store.writing() as connection:
        return create(connection, NewJob(**given | changes))


def queued(store: Store, number: int, **changes) -> Job:
    job = new_job(store, number, **changes)
    return Attempts(store, "one").validated(job, {}, {}, 10, tokens=100)


@pytest.fixture
def store(tmp_path):
    opened = open_store(tmp_path / "lmft.db")
    yield opened
    opened.close()


def test_a_claim_takes_the_next_job_as_a_new_attempt(store):
    queued(store, 1)
    job = Attempts(store, "one").claim()
    assert (job.status, job.attempt, job.started_at is None) == ("running", 1, False)
    assert Attempts(store, "two").claim() is None


def test_a_worker_has_one_attempt_in_hand(store):
    for number in (1, 2):
        queued(store, number)
    one = Attempts(store, "one")
    job = one.claim()
    assert one.active().id == job.id
    with pytest.raises(IntegrityError):
        one.claim()
    assert one.active().id == job.id


def test_what_a_restored_database_says_is_in_hand_is_the_next_workers_to_end(store):
    job = queued(store, 1)
    Attempts(store, "of another home").claim()
    worker = Attempts(store, "one")
    assert worker.active() is None
    left = worker.active(anybodys=True)
    assert left.id == job.id
    assert worker.ended_early(left, "lost", "").status == "queued"
    assert worker.active(anybodys=True) is None


def test_a_training_of_more_tokens_than_its_project_has_left_fails(store):
    with store.writing() as connection:
        connection.execute(update(projects).values(training_tokens_per_day=50))
    job = queued(store, 1)
    assert (job.status, job.error.code) == ("failed", "quota_exceeded")
    assert "may train 50 tokens" in job.error.message


def test_priority_comes_before_age(store):
    queued(store, 1)
    second = queued(store, 2, priority=1)
    assert Attempts(store, "one").claim().id == second.id


def test_projects_take_turns(store):
    with store.writing() as connection:
        connection.execute(insert(projects).values(id=2, name="them", created_at=1))
    ours = [queued(store, number) for number in (1, 2)]
    theirs = queued(store, 3, project_id=2)
    attempts, order = Attempts(store, "one"), []
    for _ in range(3):
        job = attempts.claim()
        order.append(job.id)
        attempts.succeeded(job, Made(job.adapter, 1, None))
    assert order == [ours[0].id, theirs.id, ours[1].id]


def test_a_job_that_was_begun_goes_before_others(store):
    first, _ = queued(store, 1), queued(store, 2)
    attempts = Attempts(store, "one")
    attempts.ended_early(attempts.claim(), "lost", "signal 9")
    assert attempts.claim().id == first.id


def test_what_an_attempt_says_after_its_end_is_refused(store):
    queued(store, 1)
    attempts = Attempts(store, "one")
    first = attempts.claim()
    attempts.ended_early(first, "lost", "signal 9")
    second = attempts.claim()
    for late in (
        lambda: attempts.progress(first, [Said("late")], step=9),
        lambda: attempts.succeeded(first, Made("m", 1, None)),
        lambda: attempts.failed(first, JobError("late", "late")),
        lambda: attempts.ended_early(first, "stopped", ""),
    ):
        with pytest.raises(StaleAttemptError):
            late()
    assert attempts.now(second).step == 0
    said = [event.message for event in all_events(store, second)]
    assert "late" not in said


def test_a_cancel_wins_over_what_comes_after_it(store):
    job = queued(store, 1)
    attempts = Attempts(store, "one")
    running = attempts.claim()
    JobQueue(store).ask("cancel", job.id)
    # First what was published is taken away; see lmft.jobs.attending.
    assert attempts.succeeded(running, Made("m", 1, None)).status == "running"
    assert attempts.ended_early(running, "stopped", "").status == "cancelled"


def test_a_cancel_before_the_loss_is_not_forgotten(store):
    job = queued(store, 1)
    attempts = Attempts(store, "one")
    running = attempts.claim()
    JobQueue(store).ask("cancel", job.id)
    assert attempts.ended_early(running, "lost", "signal 9").status == "cancelled"
    assert attempts.claim() is None


def test_checkpoints_are_written_with_the_success(store):
    queued(store, 1)
    attempts = Attempts(store, "one")
    job = attempts.claim()
    kept = [(5, "ft:a:b:c:00000001:ckpt-step-5", {"step": 5}), (10, job.adapter, {"step": 10})]
    attempts.succeeded(job, Made(job.adapter, 99, None, kept))
    with store.reading() as connection:
        found, more = checkpoints_of(connection, job.number)
    assert [(one.step, one.model) for one in found] == [(10, job.adapter), (5, kept[0][1])]
    assert not more


@pytest.mark.parametrize("how", ["succeeded", "failed", "cancelled"])
def test_the_end_of_a_job_is_told_to_webhooks_in_the_same_transaction(store, how):
    Endpoints(store).add("https://example.com/hook")
    job = queued(store, 1)
    attempts = Attempts(store, "one")
    if how == "cancelled":
        JobQueue(store).ask("cancel", job.id)
    elif how == "failed":
        attempts.failed(attempts.claim(), JobError("diverged", "no"))
    else:
        attempts.succeeded(attempts.claim(), Made(job.adapter, 1, None))
    (letter,) = Outbox(store).take(int(time.time()))
    assert letter.event.type == f"fine_tuning.job.{how}"


def all_events(store: Store, job: Job):
    with store.reading() as connection:
        return events_since(connection, job.number, 0, limit=10_000)


class Jobs(RuleBasedStateMachine):
    """People and two workers, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self._home = TemporaryDirectory()
        self.store = open_store(Path(self._home.name) / "lmft.db")
        self.queue = JobQueue(self.store)
        self.workers = {name: Attempts(self.store, name) for name in WORKERS}
        self.jobs: list[str] = []
        self.held: list[tuple[str, Job]] = []
        self.statuses: dict[str, list[str]] = {}
        self.cancelled: set[str] = set()
        self.n_events: dict[str, int] = {}

    def teardown(self) -> None:
        self.store.close()
        self._home.cleanup()

    @rule(priority=st.integers(-10, 10), hold=st.booleans())
    @precondition(lambda self: len(self.jobs) < 4)
    def create(self, priority: int, hold: bool) -> None:
        job = new_job(self.store, len(self.jobs) + 1, priority=priority, hold=hold)
        self.jobs.append(job.id)
        self.statuses[job.id] = [job.status]

    @rule(good=st.booleans())
    def validate(self, good: bool) -> None:
        job = self.workers["one"].to_validate()
        if job is None:
            return
        if good:
            self.workers["one"].validated(job, {"corpus": {}}, {}, 10, tokens=100)
        else:
            self.workers["one"].refused(job, JobError("invalid_training_file", "no"))

    @rule(name=st.sampled_from(WORKERS))
    def claim(self, name: str) -> None:
        worker = self.workers[name]
        if worker.active() is None and (job := worker.claim()) is not None:
            self.held.append((name, job))

    @rule(which=st.integers(0, 20), step=st.integers(0, 10))
    @precondition(lambda self: self.held)
    def progress(self, which: int, step: int) -> None:
        def act(worker: Attempts, job: Job) -> None:
            worker.progress(job, [Said(f"step {step}")], step=step)

        self.by_holder(which, act)

    @rule(which=st.integers(0, 20), how=st.sampled_from(["done", "failed", "stopped", "lost"]))
    @precondition(lambda self: self.held)
    def end(self, which: int, how: str) -> None:
        def act(worker: Attempts, job: Job) -> None:
            if how == "done":
                worker.succeeded(job, Made(job.adapter, 1, None))
            elif how == "failed":
                worker.failed(job, JobError("diverged", "no"))
            else:
                worker.ended_early(job, how, "")

        self.by_holder(which, act)

    @rule(which=st.integers(0, 20), verb=st.sampled_from(["cancel", "pause", "resume"]))
    @precondition(lambda self: self.jobs)
    def ask(self, which: int, verb: str) -> None:
        job = self.jobs[which % len(self.jobs)]
        try:
            self.queue.ask(verb, job)
        except StateConflictError:
            return
        if verb == "cancel":
            self.cancelled.add(job)

    def by_holder(self, which: int, act) -> None:
        """Any attempt there ever was may still speak; only the newest may be heard."""
        name, job = self.held[which % len(self.held)]
        now = self.queue.get(job.id)
        current = now.status == "running" and now.attempt == job.attempt
        before = len(all_events(self.store, now))
        try:
            act(self.workers[name], job)
        except StaleAttemptError:
            assert not current
            assert len(all_events(self.store, now)) == before
        else:
            assert current

    @invariant()
    def each_job_goes_by_its_states_and_ends_once(self) -> None:
        for id in self.jobs:
            job, seen = self.queue.get(id), self.statuses[id]
            if job.status != seen[-1]:
                assert job.status in GOES_TO[seen[-1]]
                seen.append(job.status)
            assert len([one for one in seen if one in ENDED]) <= 1
            assert (job.status in ENDED) == (job.finished_at is not None)
            assert (job.status == "failed") == (job.error is not None)
            assert (job.status == "succeeded") == (job.fine_tuned_model is not None)

    @invariant()
    def a_cancel_stays(self) -> None:
        for id in self.cancelled:
            job = self.queue.get(id)
            assert job.status == "cancelled" or (job.status, job.wish) == ("running", "cancel")

    @invariant()
    def what_runs_has_one_active_attempt_and_nothing_else_has(self) -> None:
        with self.store.reading() as connection:
            active = connection.execute(
                select(attempts_table.c.job, attempts_table.c.attempt).where(
                    attempts_table.c.ended_at.is_(None)
                )
            ).all()
            running = connection.execute(
                select(jobs_table.c.number, jobs_table.c.attempt).where(
                    jobs_table.c.status == "running"
                )
            ).all()
        assert sorted(map(tuple, active)) == sorted(map(tuple, running))

    @invariant()
    def events_are_only_added_to(self) -> None:
        for id in self.jobs:
            count = len(all_events(self.store, self.queue.get(id)))
            assert count >= self.n_events.get(id, 0)
            self.n_events[id] = count


Jobs.TestCase.settings = settings(
    max_examples=12,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestJobs = Jobs.TestCase
