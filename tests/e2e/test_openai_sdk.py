"""The whole loop with the unmodified `openai` package, sync and async, against the real server,
its worker and vLLM: from upload to chat, to more training, to nothing left."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai.types.fine_tuning import FineTuningJob

from lmft import paths
from scripts.sdk_table import conversations
from tests.conftest import START_SECONDS, Gateway

pytestmark = pytest.mark.engine

SMALL: dict[str, Any] = {"lmft": {"recipe": {"training": {"epochs": 1, "evaluations": 1}}}}
ENDED = ("succeeded", "failed", "cancelled")


@pytest.fixture
def client(gateway: Gateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=f"{gateway.url}/v1", api_key="none", timeout=START_SECONDS, max_retries=5
    ) as client:
        yield client


def upload(client: openai.OpenAI, text: bytes | None = None) -> str:
    """The id of a file: small, so that an epoch is a step."""
    rows = ("rows.jsonl", text or conversations())
    return client.files.create(file=rows, purpose="fine-tune").id


def followed(client: openai.OpenAI, id: str) -> FineTuningJob:
    """The job once it has ended."""
    deadline = time.monotonic() + START_SECONDS
    while (job := client.fine_tuning.jobs.retrieve(id)).status not in ENDED:
        assert time.monotonic() < deadline, job
        time.sleep(0.2)
    assert job.status == "succeeded", job
    return job


def asked(client: openai.OpenAI, model: str) -> str:
    """What the model says, by stream."""
    stream = client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": "Good evening. Have you a room?"}],
        max_tokens=16,
        stream=True,
    )
    pieces = [chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices]
    return "".join(pieces)


def test_from_upload_to_chat_to_more_training_to_nothing_left(client: openai.OpenAI) -> None:
    jobs = client.fine_tuning.jobs
    file = upload(client)
    job = jobs.create(
        model="embedded",
        training_file=file,
        suffix="e2e",
        seed=7,
        metadata={"test": "e2e"},
        method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2}}},
        extra_body={"lmft": {"recipe": {"training": {"evaluations": 1}}}},
    )
    assert job.status == "validating_files"
    assert job.id in {found.id for found in jobs.list(metadata={"test": "e2e"})}
    assert job.id not in {found.id for found in jobs.list(metadata={"test": "other"})}
    done = followed(client, job.id)
    model = done.fine_tuned_model
    assert model is not None
    assert model.startswith("ft:embedded:me:e2e:")
    assert done.hyperparameters.n_epochs == 2
    assert isinstance(done.hyperparameters.batch_size, int)
    assert done.trained_tokens is not None
    assert done.trained_tokens > 0
    events = [event.message for event in jobs.list_events(job.id)]
    assert events[0] == "The job has successfully completed"
    assert f"New fine-tuned model created: {model}" in events
    assert any("training loss=" in event for event in events)
    assert events[-1] == f"Created fine-tuning job: {job.id}"
    (result,) = done.result_files
    assert client.files.retrieve(result).purpose == "fine-tune-results"
    kept = list(jobs.checkpoints.list(job.id))
    assert kept[0].fine_tuned_model_checkpoint == model
    assert all(one.fine_tuning_job_id == job.id for one in kept)
    # It answers the moment it is said to be there.
    assert asked(client, model)
    earlier = kept[-1].fine_tuned_model_checkpoint
    assert earlier.startswith(f"{model}:ckpt-step-")
    assert asked(client, earlier)

    further = jobs.create(model=earlier, training_file=file, suffix="e2e", extra_body=SMALL)
    second = followed(client, further.id).fine_tuned_model
    assert second is not None
    assert second != model
    assert asked(client, second)

    for name in (second, model):
        assert client.models.delete(name).deleted
        with pytest.raises(openai.NotFoundError):
            asked(client, name)
    assert client.files.delete(file).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(file)


def test_preferences_are_learnt_with_dpo(client: openai.OpenAI) -> None:
    rows = (paths.recipes_dir() / "data" / "innkeeper-preferences.jsonl").read_bytes()
    file = upload(client, b"".join(rows.splitlines(keepends=True)[:14]))
    job = client.fine_tuning.jobs.create(
        model="embedded",
        training_file=file,
        suffix="e2e-dpo",
        method={"type": "dpo", "dpo": {"hyperparameters": {"n_epochs": 1, "beta": 0.2}}},
    )
    done = followed(client, job.id)
    assert done.method is not None
    assert done.method.dpo is not None
    assert done.method.dpo.hyperparameters is not None
    assert done.method.dpo.hyperparameters.beta == 0.2
    assert done.fine_tuned_model is not None
    assert asked(client, done.fine_tuned_model)
    client.models.delete(done.fine_tuned_model)


def test_a_file_that_cannot_be_trained_on_fails_the_job_with_every_bad_line(
    client: openai.OpenAI,
) -> None:
    rows = [json.dumps({"messages": [{"role": "user", "content": "Hello?"}]})] * 3
    bad = upload(client, "\n".join([*rows, "{no json"]).encode())
    job = client.fine_tuning.jobs.create(model="embedded", training_file=bad)
    deadline = time.monotonic() + START_SECONDS
    while job.status not in ENDED:
        assert time.monotonic() < deadline
        job = client.fine_tuning.jobs.retrieve(job.id)
        time.sleep(0.2)
    assert job.status == "failed"
    assert job.error is not None
    assert job.error.param == "training_file"
    said = [event for event in client.fine_tuning.jobs.list_events(job.id)]
    assert any(event.level == "error" for event in said)


def test_the_async_client_does_it_too(gateway: Gateway) -> None:
    async def loop() -> None:
        async with openai.AsyncOpenAI(
            base_url=f"{gateway.url}/v1", api_key="none", timeout=START_SECONDS
        ) as client:
            rows = ("rows.jsonl", conversations())
            file = await client.files.create(file=rows, purpose="fine-tune")
            jobs = client.fine_tuning.jobs
            job = await jobs.create(
                model="embedded", training_file=file.id, suffix="e2e-async", extra_body=SMALL
            )
            while job.status not in ENDED:
                job = await jobs.retrieve(job.id)
                await asyncio.sleep(0.2)
            assert job.status == "succeeded", job
            assert [event async for event in jobs.list_events(job.id)]
            assert (await jobs.checkpoints.list(job.id)).data
            assert job.fine_tuned_model is not None
            stream = await client.chat.completions.create(
                model=job.fine_tuned_model,
                messages=[{"role": "user", "content": "Good evening."}],
                max_tokens=8,
                stream=True,
            )
            assert [chunk async for chunk in stream]
            await client.models.delete(job.fine_tuned_model)
            await client.files.delete(file.id)

    asyncio.run(loop())


def test_a_job_cancelled_while_it_runs_is_cancelled_and_makes_no_model(
    client: openai.OpenAI,
) -> None:
    jobs = client.fine_tuning.jobs
    job = jobs.create(
        model="embedded",
        training_file=upload(client),
        hyperparameters={"n_epochs": 50},
    )
    deadline = time.monotonic() + START_SECONDS
    while not any(event.type == "metrics" for event in jobs.list_events(job.id, limit=20).data):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert jobs.cancel(job.id).status in ("running", "cancelled")
    while (now := jobs.retrieve(job.id)).status == "running":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert now.status == "cancelled"
    assert now.fine_tuned_model is None
