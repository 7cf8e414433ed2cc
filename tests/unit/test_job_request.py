"""OpenAI's body of a new job -> a job with its recipe; all faults of the recipe at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lmft.ids import parse_adapter_id
from lmft.jobs.job import NewJob
from lmft.jobs.presets import (
    budget_of,
    corpus_settings,
    preset_names,
    preset_of,
    recipe_for,
)
from lmft.jobs.refused import JobRequestError
from lmft.jobs.request import Start, new_job
from lmft.train.recipe import Recipe

EMBEDDED = Start("embedded", "embedded")
PARENT = Start("embedded", "embedded", "ft:embedded:me:inn:00000001", "chat")
DATA = Path("/data")


def asked(start: Start = EMBEDDED, installed: bool = True, **body: Any) -> NewJob:
    whole = {"model": "embedded", "training_file": "file-a"} | body
    return new_job(whole, start, project_id=7, project="me", installed=lambda _: installed)


def recipe(job: NewJob, found: Any = "adventure") -> Recipe:
    return recipe_for(job, found, data=DATA)


def fault(**body: Any) -> JobRequestError:
    with pytest.raises(JobRequestError) as refused:
        asked(**body)
    return refused.value


def test_the_least_that_can_be_asked_for_becomes_a_whole_job() -> None:
    job = asked()
    assert (job.method, job.files, job.project_id, job.hold, job.priority) == (
        *("sft", ("file-a",), 7),
        *(False, 0),
    )
    adapter = parse_adapter_id(job.adapter)
    assert adapter is not None
    assert adapter.alias == "ft:embedded:me:model"
    assert 0 <= job.seed < 2**31
    assert asked().seed != job.seed


def test_a_suffix_is_kept_as_it_was_said_and_made_legal_in_the_id() -> None:
    job = asked(suffix="Meine Märchen!")
    assert job.suffix == "Meine Märchen!"
    assert job.adapter.startswith("ft:embedded:me:meine-m-rchen:")
    assert recipe(job).name == "meine-m-rchen"
    assert len(recipe(asked(suffix="x" * 64)).name) == 40


@pytest.mark.parametrize(
    ("found", "preset", "kind"),
    [
        ("adventure", "adventure", "adventure"),
        ("story", "adventure", "story"),
        ("chat", "character", "chat"),
        ("instruct", "character", "chat"),
    ],
)
def test_the_preset_follows_what_the_files_hold(found: Any, preset: str, kind: str) -> None:
    job = asked()
    assert preset_of(job, found) == preset
    made = recipe(job, found)
    assert made.format.kind == kind
    # They belong to the preset's own text.
    assert made.format.opening is None
    assert made.format.speakers is None
    assert made.data == str(DATA)


def test_preferences_have_a_preset_of_their_own() -> None:
    job = asked(method={"type": "dpo"})
    made = recipe(job, "preference")
    assert (job.method, made.method, made.format.kind) == ("dpo", "dpo", "chat")
    assert corpus_settings(job).heldout_share == 0.2
    kto = asked(method={"type": "dpo"}, lmft={"kto": True})
    assert recipe(kto, "preference").method == kto.method == "kto"
    assert asked(lmft={"kto": True}).method == "kto"


def test_hyperparameters_go_where_a_recipe_has_them_and_auto_is_the_presets() -> None:
    given = {"n_epochs": 2, "batch_size": 8, "learning_rate_multiplier": 0.5}
    made = recipe(asked(method={"type": "supervised", "supervised": {"hyperparameters": given}}))
    usual = recipe(asked())
    assert made.training.epochs == 2
    assert made.training.batch_blocks == 8
    assert made.training.learning_rate == pytest.approx(usual.training.learning_rate / 2)
    before = recipe(asked(hyperparameters=given))
    assert before.training.model_copy(update={"seed": made.training.seed}) == made.training
    auto = recipe(asked(hyperparameters={"n_epochs": "auto"}))
    assert auto.training.epochs == usual.training.epochs


def test_a_pair_is_two_answers_and_beta_is_its_own() -> None:
    given = {"batch_size": 4, "beta": 0.3}
    made = recipe(asked(method={"type": "dpo", "dpo": {"hyperparameters": given}}), "preference")
    assert (made.training.batch_blocks, made.preference.beta) == (8, 0.3)


def test_a_base_that_is_not_the_small_one_gets_the_rate_of_larger_ones() -> None:
    other = asked(Start("openai-community/gpt2", "gpt2"))
    assert recipe(other).training.learning_rate == 2e-4
    assert recipe(other).base == "openai-community/gpt2"
    chosen = asked(Start("openai-community/gpt2", "gpt2"), lmft={"preset": "gpt2-adventure"})
    assert recipe(chosen).training.learning_rate == 5e-4


def test_training_that_goes_on_takes_over_what_its_adapter_has() -> None:
    job = asked(PARENT, model=PARENT.continue_from)
    made = recipe(job, "chat")
    assert made.continue_from == PARENT.continue_from
    assert made.format.kind == "chat"
    # What is not said here is the adapter's: see lmft.train.continued.
    assert not made.lora.model_fields_set
    assert "quantization" not in made.model_fields_set
    assert "sampler" not in made.format.model_fields_set


def test_recipe_keys_stand_over_the_preset() -> None:
    extra = {
        "recipe": {"lora": {"rank": 8}, "training": {"epochs": "2.5e-1"}, "heldout_share": 0.3},
        "hold": True,
        "priority": 3,
        "files": ["file-b"],
        "budget": {"minutes": 5, "tokens": 1000},
    }
    job = asked(lmft=extra, seed=11)
    made = recipe(job)
    assert (made.lora.rank, made.lora.alpha) == (8, 32)
    assert made.training.epochs == 0.25
    assert made.training.seed == 11
    assert made.training.max_tokens == 1000
    assert corpus_settings(job).heldout_share == 0.3
    assert (job.hold, job.priority, job.files) == (True, 3, ("file-a", "file-b"))
    assert budget_of(job).minutes == 5


def test_every_fault_of_a_recipe_is_said_at_once_with_its_place() -> None:
    found = fault(lmft={"recipe": {"training": {"epoch": 2, "evaluations": 0}, "lora": 3}})
    assert (found.code, found.param) == ("invalid_recipe", "lmft.recipe")
    for part in ("`training.epoch` is not a recipe key", "`training.evaluations`", "`lora`"):
        assert part in str(found)


@pytest.mark.parametrize(
    "key", ["name", "base", "data", "continue_from", "track", "heldout", "method"]
)
def test_what_names_things_of_this_machine_is_no_part_of_a_recipe_here(key: str) -> None:
    found = fault(lmft={"recipe": {key: "/etc/passwd"}})
    assert found.code == "invalid_recipe"
    assert f"`{key}`" in str(found)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"method": {"type": "reinforcement", "reinforcement": {}}}, "method.type"),
        ({"method": {"type": "supervised", "dpo": {}}}, "method.dpo"),
        ({"method": {"type": "supervised"}, "lmft": {"kto": True}}, "lmft.kto"),
        (
            {
                "method": {"type": "supervised", "supervised": {"hyperparameters": {}}},
                "hyperparameters": {"n_epochs": 2},
            },
            "hyperparameters",
        ),
        (
            {
                "hyperparameters": {"n_epochs": 2},
                "lmft": {"recipe": {"training": {"epochs": 3}}},
            },
            "lmft.recipe.training.epochs",
        ),
        ({"lmft": {"recipe": {"training": {"seed": 3}}}}, "lmft.recipe"),
        ({"lmft": {"recipe": {"training": {"epochs": 1e9}}}}, "lmft.recipe"),
        ({"lmft": {"preset": "../../etc/passwd"}}, "lmft.preset"),
        ({"lmft": {"preset": "nobody"}}, "lmft.preset"),
        ({"lmft": {"files": ["file-a"]}}, "lmft.files"),
        ({"validation_file": "file-a"}, "validation_file"),
        ({"metadata": {"a": "nul \0 nul"}}, "lmft"),
        ({"metadata": {"a": "\ud800"}}, "lmft"),
        ({"lmft": {"recipe": {"heldout_share": float("nan")}}}, "lmft"),
    ],
)
def test_what_cannot_be_is_refused_with_the_field(body: dict[str, Any], param: str) -> None:
    assert fault(**body).param == param


def test_wandb_is_followed_only_where_it_is_installed() -> None:
    wandb = [{"type": "wandb", "wandb": {"project": "tales"}}]
    assert recipe(asked(integrations=wandb)).track == ("wandb",)
    assert fault(integrations=wandb, installed=False).param == "integrations"


def test_every_shipped_recipe_can_be_a_preset() -> None:
    for name in preset_names():
        method = {"type": "dpo"} if name == "prefer" else {"type": "supervised"}
        found = "preference" if name == "prefer" else "adventure"
        job = asked(lmft={"preset": name}, method=method)
        made = recipe(job, found)
        assert made.base == "embedded"
        assert corpus_settings(job).heldout_share == made.heldout_share
