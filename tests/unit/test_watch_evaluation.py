"""When and on what a training is measured; that it is not disturbed; samples."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from lmft.eval.samples import sample
from lmft.train.model import load_trainable
from lmft.train.prepare import Job
from lmft.train.watch.evaluation import choose_scope, measured, places, samples, undisturbed
from tests.unit.watched import tiny_job


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    return tiny_job(tmp_path_factory.mktemp("job"), "training.epochs=1")


@pytest.fixture(scope="module")
def model(job: Job) -> Any:
    return load_trainable(job.base, job.plan, job.recipe.lora, 1)


def random_state() -> tuple[Any, ...]:
    return (
        random.getstate(),
        [str(part) for part in np.random.get_state()],
        torch.get_rng_state().tolist(),
    )


@pytest.mark.parametrize(("steps", "evaluations"), [(90, 4), (7, 3), (1, 4), (3, 100)])
def test_evaluations_are_spread_evenly_from_step_0_to_the_last(
    steps: int, evaluations: int
) -> None:
    found = places(steps, evaluations)
    assert found[0] == 0
    assert found[-1] == steps
    assert len(found) == min(steps, evaluations) + 1
    gaps = np.diff(found)
    assert gaps.max() - gaps.min() <= 1


def test_an_evaluation_leaves_random_state_and_every_modules_mode_as_they_were(
    job: Job, model: Any
) -> None:
    model.train()
    odd = next(module for module in model.modules() if isinstance(module, torch.nn.LayerNorm))
    odd.training = False
    modes = [module.training for module in model.modules()]
    state = random_state()
    with undisturbed(model):
        assert not model.training
        measured(model, job, job.heldout)
        samples(model, job, 4)
        random.random()
        np.random.random()
        torch.rand(1)
    assert [module.training for module in model.modules()] == modes
    assert random_state() == state


def test_an_evaluation_that_fails_leaves_them_too(model: Any) -> None:
    model.train()
    state = random_state()
    with pytest.raises(IndexError, match="out of bounds"), undisturbed(model):
        torch.rand(torch.rand(3)[7])
    assert model.training
    assert random_state() == state


def test_what_is_affordable_is_measured_whole(job: Job) -> None:
    long = replace(job, plan=replace(job.plan, steps=10_000))
    scope = choose_scope(long)
    assert scope.documents == tuple(job.heldout)
    assert scope.is_everything
    assert not scope.reason
    assert scope.sample_tokens == scope.end_sample_tokens == job.contract.sampler.max_tokens


def test_a_short_training_is_measured_on_some_documents_and_says_so(job: Job) -> None:
    n_heldout = sum(len(document.ids) for document in job.heldout)
    # Two passes of each trained token, in two parts, a tenth of that: half of what is held out.
    steps = round(10 * n_heldout / 2 / (job.plan.batch_blocks * job.plan.block_tokens))
    scope = choose_scope(replace(job, plan=replace(job.plan, steps=steps)))
    n_measured = sum(len(document.ids) for document in scope.documents)
    assert 0 < n_measured <= 0.51 * n_heldout
    assert f"{len(scope.documents)} of {len(job.heldout)}" in scope.reason


def test_there_is_always_a_document_to_measure_on(job: Job) -> None:
    scope = choose_scope(replace(job, plan=replace(job.plan, steps=1)))
    assert len(scope.documents) == 1
    assert scope.sample_tokens == 0 < scope.end_sample_tokens


def test_a_sample_is_what_its_seed_gives_alone_or_beside_others(job: Job, model: Any) -> None:
    model.eval()
    together = sample(model, job.heldout, job.encoder, job.contract)
    alone = sample(model, job.heldout[:1], job.encoder, job.contract)
    assert together[0] == alone[0]
    assert [row["seed"] for row in together] == [1, 2, 3]
    assert len({row["text"] for row in together}) == 3


def test_samples_with_a_cache_are_what_the_model_gives_without_one(job: Job, model: Any) -> None:
    model.eval()
    greedy = job.contract.model_copy(
        update={"sampler": job.contract.sampler.model_copy(update={"temperature": 0.0})}
    )
    (row,) = sample(model, job.heldout[:1], job.encoder, greedy, max_tokens=6)
    ids = [job.encoder.start_id, *job.heldout[0].ids[:48].tolist()]
    length = len(ids)
    penalty = greedy.sampler.repetition_penalty
    for _ in range(6):
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([ids])).logits[0, -1]
        for token in set(ids):
            logits[token] = (
                logits[token] / penalty if logits[token] > 0 else logits[token] * penalty
            )
        ids.append(int(logits.argmax()))
    assert row["text"] == job.encoder.decode(ids[length:])


def test_a_sample_ends_where_asked_or_where_the_contract_does(job: Job, model: Any) -> None:
    model.eval()
    whole, more, short = (
        [row["text"] for row in sample(model, job.heldout, job.encoder, job.contract, asked)]
        for asked in (None, 1000, 3)
    )
    assert whole == more
    for text, beginning in zip(whole, short, strict=True):
        assert text.startswith(beginning)
        assert len(beginning) < len(text)
