"""A job's recipe: the shipped preset that fits what its files turned out to be, and over it what
was asked for. Reads the preset's file and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import yaml

from lmft import paths
from lmft.corpus.build import Settings
from lmft.corpus.documents import Kind
from lmft.corpus.kinds import TALK, TEXT
from lmft.train.recipe import CorpusChoices, Recipe, find_recipe, parse_recipe

_OWN_BASE = "embedded"
# The presets' rates are for the embedded base, which is small. What LoRA usually takes over others:
_SFT_RATE, _PREFERENCE_RATE = 2e-4, 4e-5
# OpenAI keeps the last three checkpoints; the third is the model itself.
_KEPT_EPOCHS = 2
# What a preset says of its own text, and not of how to train.
_OF_ITS_TEXT = ("opening", "speakers")
_TAKEN_OVER = ("format", "lora", "quantization")
_HOW = {"heldout_share", "serve_base", "training", "preference", *_TAKEN_OVER}


class Asked(Protocol):
    """What of a job decides its recipe. Attributes: see lmft.jobs.job.NewJob."""

    @property
    def method(self) -> str: ...
    @property
    def seed(self) -> int: ...
    @property
    def request(self) -> Mapping[str, Any]: ...
    @property
    def recipe(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Budget:
    """The most that a job may cost; None is no limit."""

    minutes: float | None = None
    tokens: int | None = None


def preset_names() -> list[str]:
    """What `lmft.preset` may say."""
    return sorted(file.stem for file in paths.recipes_dir().glob("*.yaml"))


def shipped(name: str) -> dict[str, Any]:
    """The tree of a shipped recipe. Raises NotFoundError."""
    tree: dict[str, Any] = yaml.safe_load(find_recipe(name).read_text(encoding="utf-8"))
    return tree


def asked_hyperparameters(request: Mapping[str, Any]) -> dict[str, Any]:
    """OpenAI's hyperparameters of a body, from `method` or from where they were before it."""
    method = request.get("method") or {}
    chosen = method.get(method.get("type")) or {}
    return dict(chosen.get("hyperparameters") or request.get("hyperparameters") or {})


def preset_of(job: Asked, found: Kind | None = None) -> str:
    """The preset's name: as asked, else by the method, else by what the files hold."""
    asked = _extra(job).get("preset")
    if asked:
        return str(asked)
    if job.method != "sft":
        return "prefer"
    kind = _asked_kind(job) or found
    return "character" if kind in TALK else "adventure"


def corpus_settings(job: Asked) -> Settings:
    """How its files are compiled, known before anybody has looked into them."""
    share = Recipe.model_fields["heldout_share"].default
    for tree in (shipped(preset_of(job)), job.recipe):
        share = tree.get("heldout_share", share)
    chosen = CorpusChoices.model_validate(job.recipe.get("corpus", {}))
    return Settings(heldout_share=float(share), **chosen.model_dump(mode="python"))


def tree_for(job: Asked, found: Kind) -> dict[str, Any]:
    """The recipe's tree but for `data` and `heldout`. Args: found: what the files hold."""
    tree = _merged(_preset_tree(job, found), job.recipe)
    tree["method"] = job.method
    training = tree["training"]
    if not isinstance(training, dict):
        return tree
    training |= {"seed": job.seed, "learning_rate": _rate(job, found)}
    # A preset says 0, for `lmft train`.
    asked = job.recipe.get("training", {})
    training["keep_epochs"] = asked.get("keep_epochs", _KEPT_EPOCHS)
    if tokens := budget_of(job).tokens:
        training.setdefault("max_tokens", tokens)
    return tree


def recipe_for(job: Asked, found: Kind, *, data: Path, heldout: Path | None = None) -> Recipe:
    """The whole recipe of a job whose files are compiled.

    Args:
        data: where they lie, or the compiled corpus. heldout: what to measure on instead of a
            share of `data`.

    Raises:
        RecipeError: what was asked for does not go with the preset.
    """
    places = {"data": str(data)} | ({} if heldout is None else {"heldout": str(heldout)})
    return parse_recipe({**tree_for(job, found), **places}, "The recipe of this job")


def resolved_hyperparameters(job: Asked, recipe: Recipe, found: Kind) -> dict[str, Any]:
    """OpenAI's hyperparameters as they are trained with.

    Args:
        recipe: as planned: no `auto` is left in its `training`.
    """
    training = recipe.training
    usual = _usual_rate(job, found)
    batch = training.batch_blocks
    if batch != "auto" and job.method != "sft":
        # Two answers are a pair.
        batch //= 2
    resolved: dict[str, Any] = {
        "n_epochs": int(training.epochs) if training.epochs.is_integer() else training.epochs,
        "batch_size": batch,
        "learning_rate_multiplier": round(training.learning_rate / usual, 6),
    }
    return resolved if job.method == "sft" else resolved | {"beta": recipe.preference.beta}


def budget_of(job: Asked) -> Budget:
    return Budget(**_extra(job).get("budget") or {})


def _preset_tree(job: Asked, found: Kind) -> dict[str, Any]:
    tree = {key: value for key, value in shipped(preset_of(job, found)).items() if key in _HOW}
    if "continue_from" in job.recipe:
        # The adapter says all of this, where the request does not.
        tree = {key: value for key, value in tree.items() if key not in _TAKEN_OVER}
        tree["format"] = {}
    else:
        form = tree["format"] = dict(tree["format"])
        for key in _OF_ITS_TEXT:
            form.pop(key, None)
        if found in TEXT and form["kind"] in TEXT:
            form["kind"] = found
    tree["training"] = dict(tree["training"])
    return tree


def _rate(job: Asked, found: Kind) -> Any:
    training = job.recipe.get("training")
    asked = training.get("learning_rate") if isinstance(training, Mapping) else None
    return asked if asked is not None else _usual_rate(job, found) * _multiplier(job)


def _usual_rate(job: Asked, found: Kind) -> float:
    """The learning rate that a multiplier of 1 means."""
    if job.recipe["base"] == _OWN_BASE or _extra(job).get("preset"):
        return float(shipped(preset_of(job, found))["training"]["learning_rate"])
    return _SFT_RATE if job.method == "sft" else _PREFERENCE_RATE


def _multiplier(job: Asked) -> float:
    value = asked_hyperparameters(job.request).get("learning_rate_multiplier", "auto")
    return 1.0 if value == "auto" else float(value)


def _asked_kind(job: Asked) -> str | None:
    form = job.recipe.get("format")
    return form.get("kind") if isinstance(form, Mapping) else None


def _extra(job: Asked) -> Mapping[str, Any]:
    extra: Mapping[str, Any] = job.request.get("lmft") or {}
    return extra


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`above` over `below`, section by section."""
    made = dict(below)
    for key, value in above.items():
        under = made.get(key)
        both = isinstance(value, Mapping) and isinstance(under, Mapping)
        made[key] = _merged(under, value) if both else value  # type: ignore[arg-type]
    return made
