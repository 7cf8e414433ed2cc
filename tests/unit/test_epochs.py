"""Which epochs are kept, by the steps that they end with."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from lmft.train.epochs import epoch_ends
from lmft.train.prepare import Job
from tests.unit.watched import tiny_job


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    directory: Path = tmp_path_factory.mktemp("job")
    made = tiny_job(directory)
    blocks = replace(
        made.blocks, ids_NT=made.blocks.ids_NT[:10], labels_NT=made.blocks.labels_NT[:10]
    )
    return replace(made, blocks=blocks)


@pytest.mark.parametrize(
    ("epochs", "batch", "steps", "keep", "ends"),
    [
        (3, 5, 6, 0, {}),
        (3, 5, 6, 1, {4: 2}),
        (3, 5, 6, 2, {2: 1, 4: 2}),
        (3, 5, 6, 10, {2: 1, 4: 2}),
        # An epoch that ends in the midst of a step ends with it.
        (3, 4, 9, 10, {3: 1, 5: 2}),
        # The last epoch is the run's own end, whole or not.
        (1, 5, 2, 10, {}),
        (2.5, 5, 5, 10, {2: 1, 4: 2}),
        (0.3, 5, 1, 10, {}),
        # Cut short by a budget.
        (3, 5, 3, 10, {2: 1}),
        (3, 5, 4, 10, {2: 1}),
        (3, 5, 1, 10, {}),
        # Several epochs in a step: the last of them.
        (6, 20, 6, 2, {2: 4, 3: 5}),
    ],
)
def test_the_newest_epochs_that_end_before_the_run_does(
    job: Job, epochs: float, batch: int, steps: int, keep: int, ends: dict[int, int]
) -> None:
    training = job.recipe.training.model_copy(update={"epochs": epochs, "keep_epochs": keep})
    recipe = job.recipe.model_copy(update={"training": training})
    plan = replace(job.plan, batch_blocks=batch, steps=steps)
    found = epoch_ends(replace(job, recipe=recipe, plan=plan))
    assert found == ends
    assert list(found) == sorted(found)


def test_however_many_epochs_there_are_only_what_is_kept_takes_memory(job: Job) -> None:
    training = job.recipe.training.model_copy(update={"epochs": 300_000.0, "keep_epochs": 2})
    recipe = job.recipe.model_copy(update={"training": training})
    plan = replace(job.plan, batch_blocks=5, steps=600_000)
    many = replace(job, recipe=recipe, plan=plan)
    tracemalloc.start()
    try:
        found = epoch_ends(many)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == {599_996: 299_998, 599_998: 299_999}
    assert peak < 100_000
