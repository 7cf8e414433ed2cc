"""What is told of a job says nothing of this machine either: its error, its events, its plan. The
operator finds it all in the logs and in the database. A real worker; no engine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from lmft.jobs.attempts import Attempts
from lmft.jobs.job import Job, JobError, Said
from tests.conftest import START_SECONDS
from tests.integration.bare_gateway import bare_gateway
from tests.jobs import RECIPE, Home, home_at
from tests.security.test_answers import REVEALING
from tests.tiny import make_base

SECRET = "/home/op/.local/share/lmft/jobs"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    folder: Path = tmp_path_factory.mktemp("answers")
    make_base(folder / "base", "gpt2")
    with home_at(folder / "home", folder / "base") as made:
        yield made


@pytest.fixture(scope="module")
def worked(home: Home) -> Iterator[Home]:
    with home.worker():
        yield home


@pytest.fixture(scope="module")
def http(home: Home) -> Iterator[httpx.Client]:
    with (
        bare_gateway(home.path) as (url, _),
        httpx.Client(base_url=url, timeout=START_SECONDS) as client,
    ):
        yield client


def told(http: httpx.Client, home: Home, job: Job) -> str:
    """Every answer that has the job in it, once each was looked through."""
    theirs, ours = f"/v1/fine_tuning/jobs/{job.id}", f"/v1/lmft/jobs/{job.id}"
    paths = ["/v1/fine_tuning/jobs", theirs, f"{theirs}/events", ours]
    if home.get(job).ended:
        paths += [f"{theirs}/events?stream=true", f"{ours}/stream"]
    answers = []
    for path in paths:
        answer = http.get(path)
        assert answer.status_code == 200, answer.text
        assert str(home.path.parent) not in answer.text, f"{path}: {answer.text}"
        found = REVEALING.findall(answer.text)
        assert not found, f"{path} says {found}: {answer.text[:2000]}"
        answers.append(answer.text)
    return "\n".join(answers)


def chat(home: Home) -> str:
    said = "The keeper of gate {0} counts {0} coins and {0} nails, and then he goes home. " * 3
    lines = [
        json.dumps(
            {
                "messages": [
                    {"role": "user", "content": f"What is behind gate {number}?"},
                    {"role": "assistant", "content": said.format(number)},
                ]
            }
        )
        for number in range(30)
    ]
    return home.file("chat.jsonl", "\n".join(lines).encode())


def test_a_text_of_the_wrong_kind_is_called_no_path(worked: Home, http: httpx.Client) -> None:
    recipe = {**RECIPE, "method": "dpo", "format": {"kind": "chat"}}
    changes: dict[str, Any] = {"method": "dpo", "request": {"lmft": {"preset": "prefer"}}}
    job = worked.create((chat(worked),), recipe=recipe, **changes)
    job = worked.wait(job, "failed", "queued")
    assert job.error is not None, worked.said(job)
    assert "The text holds conversations, but method dpo" in told(http, worked, job)


def test_a_base_that_is_not_there_is_named_in_the_log_only(
    worked: Home, http: httpx.Client
) -> None:
    nowhere = str(worked.path / "nowhere")
    job = worked.create(worked.stories(), recipe={**RECIPE, "base": nowhere})
    job = worked.wait(job, "failed", "queued")
    assert "No base model directory at (...)" in told(http, worked, job)
    assert nowhere in (worked.folder(job) / "log.txt").read_text()


def test_a_plan_names_the_base_as_clients_do(worked: Home, http: httpx.Client) -> None:
    job = worked.create(worked.stories(), hold=True)
    job = worked.wait(job, "paused", "failed")
    assert job.status == "paused", worked.said(job)
    told(http, worked, job)
    shown = http.get(f"/v1/lmft/jobs/{job.id}").json()
    assert shown["plan"]["base"] == "tiny"
    assert shown["corpus"]["tokens"]["base"] == "tiny"
    assert shown["plan"]["lines"]
    worked.queue.ask("cancel", job.id)


def test_whatever_was_written_down_of_a_job_is_told_without_paths(tmp_path: Path) -> None:
    """Of jobs of earlier versions too: it is taken out where it is told."""
    with (
        home_at(tmp_path, tmp_path / "base") as home,
        bare_gateway(tmp_path) as (url, _),
        httpx.Client(base_url=url, timeout=START_SECONDS) as http,
    ):
        require_no_paths_of_what_is_stored(home, http)


def require_no_paths_of_what_is_stored(home: Home, http: httpx.Client) -> None:
    worker = Attempts(home.store, "worker-1")
    plan = {"base": SECRET, "lines": [f"memory: see {SECRET}"], "reasons": [f"{SECRET} is slow"]}
    job = home.create(home.stories())
    worker.validated(job, {"plan": plan}, {}, 9, [Said(f"{SECRET}: odd", "warn")], tokens=9)
    now = worker.claim()
    assert now is not None
    sample = {"step": 1, "seed": 1, "text": "> You say /home is where the heart is."}
    worker.progress(now, [Said("A sample of step 1", data={"sample": sample})])
    worker.ended_early(now, "lost", f"FileNotFoundError: [Errno 2]: '{SECRET}/x'")
    again = worker.claim()
    assert again is not None
    worker.failed(again, JobError("storage_full", f"The disk of {SECRET} is full.\nFree some."))
    shown = http.get(f"/v1/lmft/jobs/{job.id}").json()
    assert shown["job"]["error"]["message"] == "The disk of (...) is full.\nFree some."
    assert shown["attempts"][0]["detail"] == "FileNotFoundError: [Errno 2]: '(...)'"
    assert shown["plan"] == {
        "base": "tiny",
        "lines": ["memory: see (...)"],
        "reasons": ["(...) is slow"],
    }
    for path in (f"fine_tuning/jobs/{job.id}/events", f"lmft/jobs/{job.id}/stream"):
        assert SECRET not in http.get(f"/v1/{path}").text
    # What a model wrote is nobody's path.
    (row,) = http.get(f"/v1/lmft/jobs/{job.id}/samples").json()["data"]
    assert row["text"] == sample["text"]
