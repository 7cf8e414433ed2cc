"""The recipe that a request for a job asks for: checked, every fault at once. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lmft.corpus.documents import Kind
from lmft.errors import RecipeError
from lmft.jobs.job import NewJob
from lmft.jobs.presets import asked_hyperparameters, preset_names, recipe_for
from lmft.jobs.refused import JobRequestError

# Keys of a recipe that this API says otherwise, or that name what lies on this machine.
_ELSEWHERE = {
    "name": "say `suffix`",
    "base": "say `model`",
    "continue_from": "say `model`",
    "data": "say `training_file`",
    "heldout": "say `validation_file`",
    "method": "say `method`",
    "track": "say `integrations`",
}
# OpenAI's hyperparameters -> where they are in a recipe
_PLACES = {
    "n_epochs": ("training", "epochs"),
    "batch_size": ("training", "batch_blocks"),
    "learning_rate_multiplier": ("training", "learning_rate"),
    "beta": ("preference", "beta"),
}
_ANYWHERE = Path("/nowhere")


def asked_tree(body: Mapping[str, Any], extra: Mapping[str, Any], method: str) -> dict[str, Any]:
    """What was asked for, as a recipe says it."""
    recipe: Mapping[str, Any] = extra.get("recipe") or {}
    if faults := [f"`{key}`: {_ELSEWHERE[key]}" for key in recipe if key in _ELSEWHERE]:
        raise _recipe_fault(faults)
    tree = {key: dict(value) if isinstance(value, dict) else value for key, value in recipe.items()}
    if isinstance(training := tree.get("training"), dict) and "seed" in training:
        raise _recipe_fault(["`training.seed`: say `seed`"])
    for name, value in asked_hyperparameters(body).items():
        section, key = _PLACES[name]
        inside = tree.setdefault(section, {})
        if not isinstance(inside, dict):
            continue
        if key in inside:
            raise JobRequestError(
                f"lmft.recipe.{section}.{key}",
                f"`lmft.recipe.{section}.{key}` and the hyperparameter `{name}` are both given.",
                "Leave one of them out.",
            )
        if value == "auto" or name == "learning_rate_multiplier":
            continue
        # A pair of preferences is two answers.
        inside[key] = 2 * value if name == "batch_size" and method != "sft" else value
    return tree


def require_recipe(job: NewJob) -> None:
    """With the files' kind left open: the faults of what was asked for do not hang on it."""
    asked = (job.request.get("lmft") or {}).get("preset")
    if asked is not None and asked not in preset_names():
        raise JobRequestError(
            "lmft.preset",
            f"There is no preset {asked[:40]!r}.",
            f"Choose one of {', '.join(preset_names())}, or leave it out.",
        )
    kind: Kind = "preference" if job.method != "sft" else "adventure"
    # A file's faults are the worker's to find; here only what the request itself says.
    try:
        recipe_for(replace(job, seed=1), kind, data=_ANYWHERE)
    except RecipeError as error:
        faults = error.message.partition(": ")[2].rstrip(".")
        raise JobRequestError(
            "lmft.recipe", f"`lmft.recipe`: {faults}.", error.hint, "invalid_recipe"
        ) from error


def _recipe_fault(faults: list[str]) -> JobRequestError:
    return JobRequestError(
        "lmft.recipe",
        f"`lmft.recipe` cannot say {'; '.join(faults)}.",
        "GET /v1/lmft/recipes shows what it can say.",
        "invalid_recipe",
    )
