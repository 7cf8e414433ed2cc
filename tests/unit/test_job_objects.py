"""Jobs, events and checkpoints as OpenAI's objects: what its SDK types takes them whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent
from openai.types.fine_tuning.jobs import FineTuningJobCheckpoint
from pydantic import TypeAdapter

from lmft.jobs import queue
from lmft.jobs.follow import Follower
from lmft.jobs.job import Checkpoint, Event, Job, JobError
from lmft.jobs.objects import (
    checkpoint_object,
    detail_object,
    event_object,
    job_object,
    page,
)
from lmft.jobs.queue import JobQueue
from lmft.jobs.request import Start, new_job
from lmft.store.database import Store, open_store
from serving.gateway.schemas import jobs as documented


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(tmp_path / "lmft.db")
    yield store
    store.close()


def made(store: Store, **body: Any) -> Job:
    whole = {"model": "embedded", "training_file": "file-a"} | body
    new = new_job(whole, Start("embedded", "embedded"), project_id=1, project="me")
    with store.writing() as connection:
        return queue.create(connection, new)


def strict(kind: Any, value: dict[str, Any]) -> Any:
    return TypeAdapter(kind).validate_python(value, strict=True)


def test_a_job_is_what_the_sdk_and_our_document_say(store: Store) -> None:
    job = made(
        store,
        suffix="Inn",
        seed=3,
        metadata={"team": "a"},
        method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2}}},
    )
    shown = job_object(job, "me")
    parsed = strict(FineTuningJob, shown)
    documented.FineTuningJob.model_validate(shown)
    assert parsed.status == "validating_files"
    assert parsed.hyperparameters.n_epochs == 2
    assert parsed.hyperparameters.batch_size == "auto"
    assert parsed.method.supervised.hyperparameters.n_epochs == 2
    assert (parsed.organization_id, parsed.seed, parsed.metadata) == ("me", 3, {"team": "a"})
    assert (parsed.error, parsed.result_files, parsed.integrations) == (None, [], [])
    assert shown["user_provided_suffix"] == "Inn"


def test_what_auto_became_is_shown_once_it_is_known(store: Store) -> None:
    job = made(store, method={"type": "dpo", "dpo": {"hyperparameters": {"beta": 0.2}}})
    resolved = {"n_epochs": 2, "batch_size": 4, "learning_rate_multiplier": 1.0, "beta": 0.2}
    parsed = strict(FineTuningJob, job_object(replace(job, resolved=resolved), "me"))
    assert parsed.method.dpo.hyperparameters.beta == 0.2
    assert parsed.method.dpo.hyperparameters.batch_size == 4
    assert parsed.hyperparameters.n_epochs == 2


def test_an_ended_job_says_what_it_made_or_why_not(store: Store) -> None:
    job = made(store)
    error = JobError("invalid_n_examples", "Training file has 7 example(s).", "training_file")
    failed = strict(FineTuningJob, job_object(replace(job, status="failed", error=error), "me"))
    assert failed.error.param == "training_file"
    done = replace(
        job,
        status="succeeded",
        fine_tuned_model=job.adapter,
        trained_tokens=1200,
        result_file="file-r",
        finished_at=job.created_at,
    )
    parsed = strict(FineTuningJob, job_object(done, "me"))
    assert parsed.fine_tuned_model == job.adapter
    assert parsed.result_files == ["file-r"]


def test_events_and_checkpoints_are_what_the_sdk_says() -> None:
    event = Event(3, "ftevent-1", "info", "metrics", "Step 1/9", {"step": 1, "loss": 2.5}, 1_800)
    parsed = strict(FineTuningJobEvent, event_object(event))
    documented.FineTuningEvent.model_validate(event_object(event))
    assert parsed.data == {"step": 1, "loss": 2.5}
    name = "ft:embedded:me:inn:00000001:ckpt-step-4"
    checkpoint = Checkpoint(1, "ftckpt_1", 4, name, {"train_loss": 2.0}, 1_800)
    shown = checkpoint_object(checkpoint, "ftjob-1")
    kept = strict(FineTuningJobCheckpoint, shown)
    documented.FineTuningCheckpoint.model_validate(shown)
    assert (kept.fine_tuned_model_checkpoint, kept.step_number) == (name, 4)
    assert kept.metrics.train_loss == 2.0
    assert page([shown], has_more=False)["data"] == [shown]


def test_the_detail_is_as_documented(store: Store) -> None:
    job = made(store)
    documented.JobDetail.model_validate(detail_object(job, "me", None, []))
    report = {"corpus": {"kind": "story"}, "plan": {"steps": 3}}
    assert detail_object(job, "me", report, [])["plan"] == {"steps": 3}


def test_a_follower_hears_everything_once_and_goes_on_where_it_was(store: Store) -> None:
    job, jobs = made(store), JobQueue(store)
    follower = Follower(store, job.id, 1, "me")
    first = follower.look()
    assert [one.kind for one in first] == ["job", "event", "event"]
    documented.JobProgress.model_validate(first[0].data)
    assert follower.look() == []
    jobs.ask("pause", job.id)
    assert [one.kind for one in follower.look()] == ["job", "event"]
    again = Follower(store, job.id, 1, "me", after=first[-1].cursor)
    assert [one.data["message"] for one in again.look() if one.kind == "event"] == [
        "Pausing: the step in progress is ended first"
    ]
    jobs.ask("cancel", job.id)
    assert not follower.ended
    assert follower.look()[0].data["job"]["status"] == "cancelled"
    assert follower.ended
