"""The fine-tuning API through the stock SDK and raw HTTP, over a real store; no job is trained."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from lmft.jobs.attempt import Made
from lmft.jobs.attempts import Attempts
from lmft.jobs.events import add_checkpoint
from lmft.jobs.job import JobError, Said
from lmft.jobs.queue import JobQueue
from lmft.store.database import Store
from lmft.store.keys import Keys
from lmft.store.projects import ProjectLimits, Projects
from serving.gateway.access.keyring import LOOK_AGAIN_SECONDS
from tests.conftest import START_SECONDS
from tests.integration.bare_gateway import bare_gateway, uploaded

JOBS = "/v1/fine_tuning/jobs"


class Server:
    def __init__(self, url: str, store: Store) -> None:
        self.url, self.store = url, store
        self.jobs, self.worker = JobQueue(store), Attempts(store, "worker-1")
        self.http = httpx.Client(base_url=url, timeout=START_SECONDS)
        self.sdk = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)

    def create(self, **body: Any) -> httpx.Response:
        whole = {"model": "embedded", "training_file": uploaded(self.store)} | body
        return self.http.post(JOBS, json=whole)

    def refused(self, status: int, **body: Any) -> dict[str, Any]:
        answer = self.create(**body)
        assert answer.status_code == status, answer.text
        error: dict[str, Any] = answer.json()["error"]
        return error

    def running(self, id: str) -> Any:
        """The job as its worker has it."""
        self.worker.validated(self.jobs.get(id), {"corpus": {}, "plan": {}}, {}, 10, tokens=10)
        job = self.worker.claim()
        assert job is not None
        assert job.id == id
        return job


@contextmanager
def running(home: Path) -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LMFT_HOME", str(home))
        with bare_gateway(home) as (url, store):
            server = Server(url, store)
            yield server
            server.http.close()
            server.sdk.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with running(tmp_path) as server:
        yield server


@pytest.fixture(scope="module")
def idle_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """For tests that make no job."""
    with running(tmp_path_factory.mktemp("home")) as server:
        yield server


def test_the_sdk_creates_finds_lists_and_cancels(server: Server) -> None:
    jobs = server.sdk.fine_tuning.jobs
    made = [
        jobs.create(
            model="embedded",
            training_file=uploaded(server.store),
            suffix=f"tale-{number}",
            seed=number,
            metadata={"team": "a" if number else "b"},
            method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2}}},
            extra_body={"lmft": {"recipe": {"lora": {"rank": 8}}, "priority": 2}},
        )
        for number in range(3)
    ]
    assert made[0].status == "validating_files"
    assert jobs.retrieve(made[0].id) == made[0]
    assert [job.id for job in jobs.list(limit=1)] == [job.id for job in reversed(made)]
    assert [job.id for job in jobs.list(metadata={"team": "b"})] == [made[0].id]
    assert not jobs.list(extra_query={"metadata": "null"}).data
    page = jobs.list(limit=2)
    assert page.has_more
    cancelled = jobs.cancel(made[1].id)
    assert cancelled.status == "cancelled"
    with pytest.raises(openai.BadRequestError) as again:
        jobs.cancel(made[1].id)
    assert again.value.code == "invalid_state"
    said = [event.message for event in jobs.list_events(made[1].id, limit=1)]
    assert said[0] == "The job has been cancelled"
    assert said[-1] == f"Created fine-tuning job: {made[1].id}"


def test_pause_and_resume(server: Server) -> None:
    id = server.create().json()["id"]
    jobs = server.sdk.fine_tuning.jobs
    server.running(id)
    assert jobs.pause(id).status == "running"
    assert server.http.get(f"/v1/lmft/jobs/{id}").json()["wish"] == "pause"
    server.worker.ended_early(server.jobs.get(id), "stopped", "")
    assert str(jobs.retrieve(id).status) == "paused"
    assert jobs.resume(id).status == "queued"
    with pytest.raises(openai.BadRequestError):
        jobs.resume(id)


def test_what_ended_is_shown_with_its_model_checkpoints_and_error(server: Server) -> None:
    id = server.create().json()["id"]
    job = server.running(id)
    named = f"{job.adapter}:ckpt-step-5"
    made = Made(job.adapter, 321, None, [(5, named, {"train_loss": 2.5}), (10, job.adapter, {})])
    server.worker.succeeded(job, made)
    shown = server.sdk.fine_tuning.jobs.retrieve(id)
    assert (shown.status, shown.fine_tuned_model, shown.trained_tokens) == (
        *("succeeded", job.adapter),
        321,
    )
    kept = list(server.sdk.fine_tuning.jobs.checkpoints.list(id, limit=1))
    assert [one.step_number for one in kept] == [10, 5]
    assert kept[1].fine_tuned_model_checkpoint == named
    assert kept[1].metrics.train_loss == 2.5
    other = server.create().json()["id"]
    server.worker.refused(
        server.jobs.get(other), JobError("invalid_training_file", "Bad.", "training_file")
    )
    failed = server.sdk.fine_tuning.jobs.retrieve(other)
    assert failed.error is not None
    assert (failed.error.code, failed.error.param) == ("invalid_training_file", "training_file")


def test_twenty_creates_with_one_key_make_one_job(server: Server) -> None:
    body = {"model": "embedded", "training_file": uploaded(server.store)}
    together = threading.Barrier(20)

    def create(_: int) -> httpx.Response:
        together.wait()
        return httpx.post(
            f"{server.url}{JOBS}",
            json=body,
            headers={"Idempotency-Key": "twice"},
            timeout=START_SECONDS,
        )

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(create, range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert len(server.jobs.list(1)[0]) == 1
    other = server.http.post(JOBS, json=body | {"seed": 3}, headers={"Idempotency-Key": "twice"})
    assert other.status_code == 400
    assert other.json()["error"]["code"] == "idempotency_key_reused"


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        ({"training_file": None}, 400, "missing_required_parameter", "training_file"),
        ({"training_file": "file-0"}, 400, "invalid_value", "training_file"),
        ({"training_file": "../../etc/passwd"}, 400, "invalid_value", "training_file"),
        ({"validation_file": "file-0"}, 400, "invalid_value", "validation_file"),
        ({"lmft": {"files": ["file-0"]}}, 400, "invalid_value", "lmft.files"),
        ({"model": "/models/mine"}, 404, "model_not_found", None),
        ({"model": "openai-community/gpt2"}, 404, "model_not_found", None),
        ({"model": "ft:embedded:me:nobody:00000000"}, 404, "model_not_found", None),
        ({"model": "ft:embedded:me:nobody"}, 404, "model_not_found", None),
        ({"n_epochs": 3}, 422, "unknown_parameter", "n_epochs"),
        ({"lmft": {"speed": 3}}, 422, "unknown_parameter", "lmft.speed"),
        ({"hyperparameters": {"n_epochs": "many"}}, 400, "invalid_value", None),
        ({"hyperparameters": {"n_epochs": True}}, 400, "invalid_value", None),
        ({"hyperparameters": {"n_epochs": 0}}, 400, "invalid_value", "hyperparameters.n_epochs"),
        ({"hyperparameters": {"beta": 1}}, 422, "unknown_parameter", "hyperparameters.beta"),
        ({"method": {"type": "reinforcement"}}, 400, "unsupported_parameter", "method.type"),
        ({"suffix": "x" * 65}, 400, "invalid_value", "suffix"),
        ({"metadata": {"a": "x" * 513}}, 400, "invalid_value", "metadata.a"),
        ({"metadata": {str(n): "" for n in range(17)}}, 400, "invalid_value", "metadata"),
        ({"seed": -1}, 400, "invalid_value", "seed"),
        ({"lmft": {"recipe": {"lora": {"rank": -1}}}}, 400, "invalid_recipe", "lmft.recipe"),
        ({"lmft": {"priority": 11}}, 400, "invalid_value", "lmft.priority"),
    ],
)
def test_what_cannot_be_is_refused_and_makes_nothing(
    idle_server: Server, body: dict[str, Any], status: int, code: str, param: str | None
) -> None:
    error = idle_server.refused(status, **body)
    assert error["code"] == code
    if param is not None:
        assert error["param"] == param
    assert idle_server.jobs.list() == ([], False)


def test_a_file_for_something_else_is_no_training_file(server: Server) -> None:
    error = server.refused(400, training_file=uploaded(server.store, purpose="user_data"))
    assert error["param"] == "training_file"


def test_another_projects_jobs_and_files_are_not_there(server: Server) -> None:
    mine = server.create().json()["id"]
    projects = Projects(server.store)
    other = projects.create("other")
    secret = Keys(server.store).create("theirs", ["jobs"], project="other")[1]
    # Until then the server was open, and who an unknown key is it asks the store so often at most.
    time.sleep(LOOK_AGAIN_SECONDS)
    with httpx.Client(
        base_url=server.url, headers={"Authorization": f"Bearer {secret}"}, timeout=START_SECONDS
    ) as theirs:
        for method, path in (
            ("GET", ""),
            ("POST", "/cancel"),
            ("POST", "/pause"),
            ("POST", "/resume"),
            ("GET", "/events"),
            ("GET", "/checkpoints"),
        ):
            answer = theirs.request(method, f"{JOBS}/{mine}{path}")
            assert answer.status_code == 404, answer.text
            assert answer.json()["error"]["code"] == "fine_tune_not_found"
        for path in ("", "/metrics", "/samples", "/stream"):
            assert theirs.get(f"/v1/lmft/jobs/{mine}{path}").status_code == 404
        assert theirs.get(JOBS).json()["data"] == []
        assert theirs.get(JOBS, params={"after": mine}).status_code == 404
        body = {"model": "embedded", "training_file": uploaded(server.store)}
        assert theirs.post(JOBS, json=body).status_code == 400
        own = uploaded(server.store, other.id)
        made = theirs.post(JOBS, json=body | {"training_file": own}).json()
        assert made["organization_id"] == "other"
        assert ":other:" in JobQueue(server.store).get(made["id"]).adapter


def test_a_project_has_as_many_jobs_as_it_may(server: Server) -> None:
    Projects(server.store).set_limits("me", ProjectLimits(active_jobs=1))
    first = server.create()
    assert first.status_code == 200
    assert server.refused(403)["code"] == "quota_exceeded"
    server.http.post(f"{JOBS}/{first.json()['id']}/cancel")
    assert server.create().status_code == 200


def test_metrics_and_samples_are_polled(server: Server) -> None:
    id = server.create().json()["id"]
    job = server.running(id)
    rows = [
        Said(f"Step {step}/10", data={"step": step, "loss": 2.0}, type="metrics")
        for step in range(1, 6)
    ]
    sample = Said("A sample at step 5", data={"sample": {"step": 5, "text": "You wake."}})
    server.worker.progress(job, [*rows, sample], step=5)
    found = server.http.get(f"/v1/lmft/jobs/{id}/metrics", params={"after_step": 2}).json()
    assert [row["step"] for row in found["data"]] == [3, 4, 5]
    found = server.http.get(f"/v1/lmft/jobs/{id}/metrics", params={"limit": 2}).json()
    assert [row["step"] for row in found["data"]] == [1, 2]
    assert found["has_more"]
    long = [Said("", data={"step": step}, type="metrics") for step in range(6, 1300)]
    server.worker.progress(job, long, step=5)
    for after in (0, 3, 700, 1298, 5000):
        found = server.http.get(
            f"/v1/lmft/jobs/{id}/metrics", params={"after_step": after, "limit": 10}
        ).json()
        assert [row["step"] for row in found["data"]] == [*range(1, 1300)][after : after + 10]
    (shown,) = server.http.get(f"/v1/lmft/jobs/{id}/samples").json()["data"]
    assert (shown["step"], shown["text"]) == (5, "You wake.")
    detail = server.http.get(f"/v1/lmft/jobs/{id}").json()
    assert detail["progress"] == {"step": 5, "steps": 10, "attempt": 1}
    assert [attempt["outcome"] for attempt in detail["attempts"]] == [None]


def test_whoever_polls_by_the_last_rows_id_hears_of_both_rows_of_a_step(server: Server) -> None:
    id = server.create().json()["id"]
    job, url = server.running(id), f"/v1/lmft/jobs/{id}/metrics"
    heard: list[dict[str, Any]] = []

    def poll() -> None:
        for _ in range(5):
            query = {"limit": 3} | ({"after": heard[-1]["id"]} if heard else {})
            found = server.http.get(url, params=query).json()
            heard.extend(found["data"])
            if not found["has_more"]:
                return

    def say(*rows: dict[str, Any]) -> None:
        said = [Said("", data=row, type="metrics") for row in rows]
        server.worker.progress(job, [*said, Said("Something else")])

    poll()
    say({"step": 3, "loss": 2.0}, {"step": 4, "heldout_loss": 1.0})
    poll()
    say({"step": 4, "loss": 2.0}, *({"step": step, "loss": 2.0} for step in range(5, 12)))
    poll()
    poll()
    assert [row["step"] for row in heard] == [3, 4, 4, *range(5, 12)]
    other = server.create().json()["id"]
    for query in ({"after": "ftevent-no"}, {"after": "%00"}, {"after": heard[0]["id"]}):
        refused = server.http.get(f"/v1/lmft/jobs/{other}/metrics", params=query)
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "after")
    both = server.http.get(url, params={"after": heard[0]["id"], "after_step": 3})
    assert (both.status_code, both.json()["error"]["param"]) == (400, "after_step")


def read_events(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    event: dict[str, str] = {}
    for line in lines:
        if not line:
            if event:
                yield event
            event = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(": ")
            event[name] = value


def test_a_stream_tells_everything_goes_on_by_its_cursor_and_ends_with_the_job(
    server: Server,
) -> None:
    id = server.create().json()["id"]
    url = f"/v1/lmft/jobs/{id}/stream"
    with server.http.stream("GET", url) as stream:
        told = read_events(stream.iter_lines())
        assert next(told)["event"] == "job"
        first = [next(told), next(told)]
        job = server.running(id)
        server.worker.progress(job, [Said("Step 1/10", data={"step": 1}, type="metrics")], step=1)
        rest: list[dict[str, str]] = []
        for event in told:
            rest.append(event)
            if '"metrics"' in event.get("data", ""):
                break
    assert json.loads(first[0]["data"])["message"] == f"Created fine-tuning job: {id}"
    server.http.post(f"{JOBS}/{id}/cancel")
    server.worker.ended_early(server.jobs.get(id), "stopped", "")
    with server.http.stream("GET", url, headers={"Last-Event-ID": rest[-1]["id"]}) as stream:
        later = list(read_events(stream.iter_lines()))
    said = [json.loads(one["data"])["message"] for one in later if one["event"] == "event"]
    assert said[-1] == "The job has been cancelled"
    assert not any(message.startswith("Created") for message in said)
    assert later[-1]["event"] == "done"
    assert server.http.get(url, headers={"Last-Event-ID": "x"}).status_code == 400


def test_events_can_be_had_as_openai_once_streamed_them(server: Server) -> None:
    id = server.create().json()["id"]
    server.http.post(f"{JOBS}/{id}/cancel")
    answer = server.http.get(f"{JOBS}/{id}/events", params={"stream": "true"})
    lines = [line for line in answer.text.splitlines() if line]
    assert lines[-1] == "data: [DONE]"
    assert json.loads(lines[0].removeprefix("data: "))["object"] == "fine_tuning.job.event"


def test_lists_refuse_what_they_cannot_count(server: Server) -> None:
    id = server.create().json()["id"]
    for query in ({"limit": 0}, {"limit": 101}, {"limit": "x"}):
        assert server.http.get(JOBS, params=query).status_code == 400
    assert server.http.get(JOBS, params={"after": "ftjob-no"}).status_code == 404
    assert server.http.get(f"{JOBS}/{id}/events?after=x").json()["error"]["param"] == "after"
    assert server.http.get(JOBS, params={"metadata[": "x"}).status_code == 400
    for odd in ("%00", "..%2f..", "a" * 200, "%ff"):
        assert server.http.get(f"{JOBS}/{odd}").status_code == 404


def test_the_shipped_recipes_are_shown_without_what_is_of_this_machine(server: Server) -> None:
    shown = server.http.get("/v1/lmft/recipes").json()
    recipes = {one["id"]: one for one in shown["data"]}
    assert {"adventure", "character", "prefer"} <= set(recipes)
    assert recipes["adventure"]["recipe"]["lora"] == {"rank": 16, "alpha": 32}
    assert "data" not in recipes["adventure"]["recipe"]
    assert "second person" in recipes["adventure"]["title"]
    assert shown["bases"] == ["embedded"]


def test_more_bases_can_be_allowed(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LMFT_BASES", "openai-community/gpt2, ./models/Mine")
    assert server.http.get("/v1/lmft/recipes").json()["bases"] == ["gpt2", "mine", "embedded"]
    made = server.create(model="gpt2").json()
    job = server.jobs.get(made["id"])
    assert job.recipe["base"] == "openai-community/gpt2"
    assert job.adapter.startswith("ft:gpt2:me:model:")
    assert server.create(model="openai-community/gpt2").status_code == 200


def test_checkpoints_are_said_once_a_step(server: Server) -> None:
    id = server.create().json()["id"]
    job = server.running(id)
    with server.store.writing() as connection:
        for _ in range(2):
            add_checkpoint(connection, job.number, 5, "m", {})
    assert len(server.sdk.fine_tuning.jobs.checkpoints.list(id).data) == 1
    with pytest.raises(openai.BadRequestError):
        server.sdk.fine_tuning.jobs.checkpoints.list(id, after="x")
