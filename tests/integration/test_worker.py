"""The real worker over real files: what it says of good and bad ones, and how a job goes on."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lmft.files.files import Files
from lmft.jobs.events import checkpoints_of
from lmft.jobs.job import Job
from lmft.registry.adapters import open_adapter, verify
from tests.jobs import RECIPE, STORIES, Home, home_at
from tests.tiny import make_base


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Iterator[Home]:
    folder: Path = tmp_path_factory.mktemp("worker")
    make_base(folder / "base", "gpt2")
    with home_at(folder / "home", folder / "base") as made, made.worker():
        yield made


def rows(count: int) -> list[str]:
    def one(number: int) -> dict[str, Any]:
        said = f"The keeper of gate {number} counts {number * 7} coins, {number * 13} nails." * 3
        question = {"role": "user", "content": f"What is behind gate {number}?"}
        return {"messages": [question, {"role": "assistant", "content": said}]}

    return [json.dumps(one(number)) for number in range(count)]


def chat(home: Home, lines: list[str], **changes: Any) -> Job:
    file = home.file("chat.jsonl", "\n".join(lines).encode())
    recipe = {**RECIPE, "format": {"kind": "chat"}}
    given = {"request": {"lmft": {"preset": "character"}}, "recipe": recipe}
    return home.create((file,), **given | changes)


@pytest.fixture(scope="module")
def trained(home: Home) -> Job:
    return home.wait(home.create(home.stories()), "succeeded", "failed")


def test_a_job_goes_through_its_states_to_a_model(home, trained):
    assert trained.status == "succeeded", home.said(trained)
    assert trained.fine_tuned_model == trained.adapter
    verify(open_adapter(home.adapter(trained)))
    said = home.messages(trained)
    for first, then in itertools.pairwise(_IN_ORDER):
        assert said.index(first) < said.index(then)
    assert any("not yet probed" in one for one in said)


_IN_ORDER = (
    "Files validated, moving job to queued state",
    "Fine-tuning job started",
    "The job has successfully completed",
)


def test_every_step_and_sample_is_an_event_once(home, trained):
    assert trained.step == trained.steps
    said = home.metrics(trained)
    assert len(said) == len(set(said))
    assert {step for kind, step in said if kind == "loss"} == set(range(1, trained.steps + 1))
    assert {0, trained.steps} <= {step for kind, step in said if kind == "heldout"}
    data = [event.data for event in home.events(trained) if event.data]
    sampled = {one["sample"]["step"] for one in data if "sample" in one}
    assert {0, trained.steps} <= sampled


def test_what_validation_found_can_be_asked_for(home, trained):
    report = home.queue.report(trained.id)
    assert report is not None
    assert report["corpus"]["ready"] is True
    assert report["plan"]["plan"]["steps"] == trained.steps
    assert any("memory" in line for line in report["plan"]["lines"])
    assert trained.resolved == {
        "n_epochs": 2,
        "batch_size": 16,
        "learning_rate_multiplier": 1.0,
    }


def test_the_result_file_is_a_table_of_steps(home, trained):
    files = Files(home.store)
    with files.open(files.get(trained.result_file)) as content:
        table = list(csv.DictReader(io.StringIO(content.read().decode())))
    assert [int(row["step"]) for row in table] == list(range(trained.steps + 1))
    assert all(row["train_loss"] for row in table[1:])
    assert table[-1]["valid_loss"]


def test_the_epochs_before_the_last_are_checkpoints_that_are_models(home, trained):
    with home.store.reading() as connection:
        found, _ = checkpoints_of(connection, trained.number)
    assert found[0].model == trained.adapter
    assert found[0].metrics["full_valid_loss"] > 0
    kept = found[1]
    assert kept.model == f"{trained.adapter}:ckpt-step-{kept.step}"
    verify(
        open_adapter(home.adapter(trained).with_name(f"{home.directory(trained)}-step-{kept.step}"))
    )


def test_a_job_that_is_held_waits_until_it_is_resumed_and_may_be_cancelled(home):
    job = home.create(home.stories(), hold=True)
    job = home.wait(job, "paused", "queued", "failed")
    assert job.status == "paused"
    assert home.queue.report(job.id) is not None
    assert home.queue.ask("cancel", job.id).status == "cancelled"


def test_a_paused_job_goes_on_from_where_it_was(home):
    longer = {**RECIPE, "training": {**RECIPE["training"], "epochs": 6}}
    job = home.create(home.stories(), recipe=longer)
    home.until(lambda: home.get(job).step >= 1, said=lambda: home.said(job))
    home.queue.ask("pause", job.id)
    paused = home.wait(job, "paused", "succeeded", "failed")
    assert paused.status == "paused", home.said(job)
    home.queue.ask("resume", job.id)
    job = home.wait(job, "succeeded", "failed")
    assert job.status == "succeeded", home.said(job)
    assert job.attempt == 2
    assert len(home.metrics(job)) == len(set(home.metrics(job)))


def test_too_few_examples_are_refused_in_openais_words(home):
    job = home.wait(chat(home, rows(7)), "failed", "queued")
    assert job.error is not None
    assert job.error.code == "invalid_n_examples"
    assert job.error.param == "training_file"
    assert job.error.message.startswith(
        "Training file has 7 example(s), but must have at least 10 examples"
    )


def test_every_bad_line_is_told(home):
    lines = rows(30)
    for number in (3, 7, 21):
        lines[number - 1] = '{"messages": ['
    job = home.wait(chat(home, lines), "failed", "queued")
    assert job.error is not None
    assert (job.error.code, job.error.param) == ("invalid_training_file", "training_file")
    assert "3 faults" in job.error.message
    told = [event.message for event in home.events(job) if event.level == "error"]
    for number in (3, 7, 21):
        assert any(f".jsonl:{number}: " in message for message in told), told


def test_bad_lines_of_the_validation_file_are_its_own(home):
    bad = home.file("valid.jsonl", b"\n".join([*map(str.encode, rows(12)), b"{"]))
    job = home.wait(chat(home, rows(30), validation_file=bad), "failed", "queued")
    assert job.error is not None
    assert (job.error.code, job.error.param) == ("invalid_validation_file", "validation_file")


def test_a_validation_file_is_what_is_held_out(home):
    others = [line.replace("gate", "door") for line in rows(40)[30:]]
    file = home.file("valid.jsonl", "\n".join(others).encode())
    job = chat(home, rows(30), validation_file=file, hold=True)
    job = home.wait(job, "failed", "paused")
    assert job.status == "paused", home.said(job)
    report = home.queue.report(job.id)
    assert report is not None
    assert report["corpus"]["corpus"]["heldout"]["n_documents"] == len(others)
    assert report["corpus"]["corpus"]["train"]["n_documents"] == 30


def test_a_file_that_is_gone_fails_the_job_and_not_the_worker(home):
    job = home.wait(home.create(("file-" + "0" * 24,)), "failed")
    assert job.error is not None
    assert job.error.param == "training_file"


def test_a_base_that_is_not_there_is_the_models_fault(home):
    recipe = {**RECIPE, "base": str(home.path / "nowhere")}
    job = home.wait(home.create(home.stories(), recipe=recipe), "failed", "queued")
    assert job.error is not None
    assert job.error.param == "model"


def test_minutes_of_a_budget_shorten_the_training(home):
    files = tuple(home.file(one.name, one.read_bytes()) for one in STORIES)
    recipe = {**RECIPE, "training": {**RECIPE["training"], "epochs": 1000}}
    request = {"lmft": {"preset": "adventure", "budget": {"minutes": 0.02}}}
    job = home.create(files, recipe=recipe, request=request, hold=True)
    job = home.wait(job, "paused", "failed")
    assert job.status == "paused", home.said(job)
    report = home.queue.report(job.id)
    assert report is not None
    assert report["plan"]["seconds"] <= 1.2
    # It would have been longer.
    assert report["plan"]["plan"]["steps"] < 1000
