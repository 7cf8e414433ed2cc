"""What makes a training job that job: hashes by which a checkpoint of another one is refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Self

from pydantic import BaseModel, ConfigDict

from lmft.errors import RecipeError
from lmft.train.planning.plan import Plan
from lmft.train.recipe import Recipe

# What may change on the way: how fast it goes and what is told of it, not what is learnt.
_FREE_TRAINING = frozenset(
    {
        "learning_rate",
        "micro_blocks",
        "activation_checkpointing",
        "compile",
        "evaluations",
        "keep_epochs",
        "checkpoint_minutes",
    }
)
_FREE_SECTIONS = frozenset({"data", "heldout", "energy", "track"})
_NAMES = {"recipe": "the recipe", "base": "the base", "corpus": "the text"}


class JobKey(BaseModel):
    """sha256 each; `recipe` leaves out what may change, and `data` and `heldout`, which `corpus`
    tells."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    recipe: str
    base: str
    corpus: str

    @classmethod
    def of(cls, recipe: Recipe, base_hash: str, corpus_hash: str) -> Self:
        """Args: recipe: frozen, with nothing left at `auto` that decides what is learnt."""
        return cls(recipe=_recipe_hash(recipe), base=base_hash, corpus=corpus_hash)

    def differences(self, other: JobKey) -> list[str]:
        """Names, for people, of what is not the same."""
        return [_NAMES[name] for name in _NAMES if getattr(self, name) != getattr(other, name)]


def frozen(recipe: Recipe, plan: Plan) -> Recipe:
    """The recipe with what `auto` became: run again, it does the same on any machine."""
    training = recipe.training.model_copy(
        update={"block_tokens": plan.block_tokens, "batch_blocks": plan.batch_blocks}
    )
    return recipe.model_copy(update={"training": training, "quantization": plan.quantization})


def require_same_job(before: Recipe, after: Recipe, overrides: Sequence[str]) -> None:
    """Raise RecipeError when `overrides`, given on resuming, would make another job of it."""
    if _recipe_hash(before) != _recipe_hash(after):
        raise RecipeError(
            f"--set {' --set '.join(overrides)} would make it another job.",
            f"On the way only training.({', '.join(sorted(_FREE_TRAINING))}) can change, "
            f"{', '.join(sorted(_FREE_SECTIONS))} too. Start a new run for anything else.",
        )


def _recipe_hash(recipe: Recipe) -> str:
    tree = recipe.model_dump(mode="json", exclude=set(_FREE_SECTIONS))
    for key in _FREE_TRAINING:
        del tree["training"][key]
    if tree["training"]["max_tokens"] is None:
        # A run that was begun before recipes could say it goes on.
        del tree["training"]["max_tokens"]
    return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()
