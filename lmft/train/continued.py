"""Continued training: what a recipe takes over from the adapter that it goes on from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lmft.bases import Base
from lmft.errors import RecipeError
from lmft.registry.adapters import Adapter, get_adapter, verify
from lmft.train.recipe import Recipe

_WEIGHTS = "adapter_model.safetensors"


def take_over(recipe: Recipe, base: Base) -> tuple[Recipe, Adapter | None]:
    """The recipe with what it leaves open set as the adapter has it, and that adapter.

    LoRA shape, quantization, speakers, opening and sampler are the adapter's where the recipe
    says nothing; what must be the same and is not is refused.

    Raises:
        RecipeError: another base, LoRA shape, quantization, format or names.
        NotFoundError, AdapterCorruptError: no such adapter, or not what was published.
    """
    if recipe.continue_from is None:
        return recipe, None
    parent = get_adapter(recipe.continue_from)
    verify(parent)
    if parent.manifest.base_hash != base.hash:
        raise RecipeError(
            f"{parent.id} was trained over the base {parent.manifest.base}, which is not "
            f"{base.name} as it is here.",
            f"Set base to {parent.manifest.base}, or train afresh without continue_from.",
        )
    changes = {
        "continue_from": str(parent.id),
        "lora": _lora(recipe, parent),
        "quantization": _quantization(recipe, parent),
        "format": _format(recipe, parent),
    }
    return recipe.model_copy(update=changes), parent


def start_from(model: Any, parent: Path) -> None:
    """Put the weights of the adapter at `parent` into the LoRA of `model`, in fp32.

    Raises:
        RecipeError: the adapter has other layers or shapes than this LoRA.
    """
    from peft import get_peft_model_state_dict
    from safetensors.torch import load_file

    weights = load_file(parent / _WEIGHTS)
    own = get_peft_model_state_dict(model, save_embedding_layers=False)
    if {name: tensor.shape for name, tensor in own.items()} != {
        name: tensor.shape for name, tensor in weights.items()
    }:
        raise RecipeError(
            f"The adapter in {parent.name} has other layers than a new one over this base.",
            "Train afresh without continue_from.",
        )
    for name, tensor in own.items():
        tensor.data.copy_(weights[name])


def _lora(recipe: Recipe, parent: Adapter) -> Any:
    found = json.loads((parent.path / "adapter_config.json").read_text(encoding="utf-8"))
    for key, theirs in (("rank", found["r"]), ("alpha", found["lora_alpha"])):
        ours = getattr(recipe.lora, key)
        if key in recipe.lora.model_fields_set and ours != theirs:
            raise RecipeError(
                f"lora.{key} is {ours}, but {parent.id} has {theirs}.",
                f"Set lora.{key} to {theirs} or leave it out.",
            )
    return recipe.lora.model_copy(update={"rank": found["r"], "alpha": found["lora_alpha"]})


def _quantization(recipe: Recipe, parent: Adapter) -> str:
    theirs = parent.manifest.quantization
    if recipe.quantization not in ("auto", theirs) and "quantization" in recipe.model_fields_set:
        raise RecipeError(
            f"quantization is {recipe.quantization}, but {parent.id} was trained over {theirs} "
            "weights and corrects their errors.",
            f"Set quantization to {theirs}.",
        )
    return theirs


def _format(recipe: Recipe, parent: Adapter) -> Any:
    ours, theirs = recipe.format, parent.contract
    if ours.kind != theirs.kind:
        raise RecipeError(
            f"format.kind is {ours.kind}, but {parent.id} speaks {theirs.kind}.",
            f"Set format.kind to {theirs.kind}, or go on from an adapter of that kind.",
        )
    if ours.speakers is not None and ours.speakers != theirs.speakers:
        raise RecipeError(
            f"format.speakers are not those of {parent.id}, which the adapter has learnt.",
            "Leave format.speakers out to take them over.",
        )
    taken: dict[str, Any] = {"speakers": theirs.speakers}
    if ours.opening is None:
        taken["opening"] = theirs.opening
    if "sampler" not in ours.model_fields_set:
        taken["sampler"] = theirs.sampler
    return ours.model_copy(update=taken)
