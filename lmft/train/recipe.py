"""The recipe: plain YAML, unknown keys refused, all faults reported at once."""

from __future__ import annotations

import os
import reprlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from lmft import paths
from lmft.corpus.documents import Kind
from lmft.errors import NotFoundError, RecipeError
from lmft.format.contract import SamplerDefaults, Speakers


def _number_text(value: Any) -> Any:
    """YAML 1.1 reads `2e-4` as text, and nobody means text."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _count_or_auto(value: Any) -> Any:
    """One fault with one key, where a union would report each of its members."""
    count = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    if value != "auto" and not count:
        raise ValueError("must be `auto` or a whole number from 1")
    return value


def _switch_or_auto(value: Any) -> Any:
    if value != "auto" and not isinstance(value, bool):
        raise ValueError("must be `auto`, true or false")
    return value


Number = Annotated[float, BeforeValidator(_number_text), Field(allow_inf_nan=False)]
Count = Annotated[int | Literal["auto"], BeforeValidator(_count_or_auto)]
Switch = Annotated[bool | Literal["auto"], BeforeValidator(_switch_or_auto)]
# ValueError: bytes that are not UTF-8, a date in month 13. RecursionError: brackets without end.
_YAML_FAULTS = (yaml.YAMLError, ValueError, RecursionError)
_OF_ITS_TEXT = (
    ("format", "opening"),
    ("format", "speakers"),
    ("corpus", "model_plays"),
    ("corpus", "you_play"),
)
# A fault stays a line, whatever the value is.
_BRIEF = reprlib.Repr()
_BRIEF.maxlevel, _BRIEF.maxstring = 2, 60


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Format(_Section):
    """How the text is to be read; see lmft.format.contract."""

    kind: Literal["story", "adventure", "chat"] = "adventure"
    speakers: Speakers | None = None
    opening: str | None = None
    sampler: SamplerDefaults = SamplerDefaults()


class CorpusChoices(_Section):
    """How raw text is compiled; see lmft.corpus.build.Settings. A compiled corpus ignores it."""

    kind: Literal[Kind, "auto"] = "auto"
    model_plays: str | None = None
    you_play: str | None = None
    skip_bad: bool = False


class Lora(_Section):
    rank: int = Field(default=16, ge=1, le=512)
    alpha: int = Field(default=32, ge=1)
    dropout: Number = Field(default=0.0, ge=0, lt=1)


class Training(_Section):
    """`auto` is chosen by lmft.train.planning, printed with its reason, kept with the adapter."""

    epochs: Number = Field(default=3.0, gt=0)
    learning_rate: Number = Field(default=1e-3, gt=0, lt=1)
    block_tokens: Count = "auto"
    batch_blocks: Count = "auto"
    micro_blocks: Count = "auto"
    activation_checkpointing: Switch = "auto"
    compile: Switch = "auto"
    warmup_share: Number = Field(default=0.05, ge=0, le=0.5)
    evaluations: int = Field(default=4, ge=1, le=100)
    checkpoint_minutes: Number = Field(default=5.0, ge=0)
    seed: int = Field(default=1, ge=0, lt=2**32)


class Preference(_Section):
    """How strongly preferences pull away from the base; see lmft.train.preference."""

    beta: Number = Field(default=0.1, gt=0, le=10)


class Energy(_Section):
    """What the run report makes of the energy that was used."""

    price_per_kwh: Number | None = Field(default=None, ge=0)
    currency: str = Field(default="EUR", min_length=1, max_length=8)
    country: str = Field(default="", pattern=r"^([A-Z]{3})?$")


class Recipe(_Section):
    """One training job, complete: with the same text it can be run again."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")
    base: str = "embedded"
    data: str
    method: Literal["sft", "dpo", "kto"] = "sft"
    continue_from: str | None = None
    heldout_share: Number = Field(default=0.1, gt=0, le=0.5)
    quantization: Literal["nf4", "none", "auto"] = "nf4"
    serve_base: Literal["dequantized", "original"] = "dequantized"
    corpus: CorpusChoices = CorpusChoices()
    format: Format = Format()
    lora: Lora = Lora()
    training: Training = Training()
    preference: Preference = Preference()
    energy: Energy = Energy()
    track: tuple[Literal["wandb", "mlflow"], ...] = ()


def find_recipe(name: str) -> Path:
    """A path, or the name of a shipped recipe (`adventure`)."""
    path = paths.expanded(name)
    if os.path.isfile(path):
        return path
    shipped = paths.recipes_dir() / f"{path.stem}.yaml"
    if path.parent == Path() and os.path.isfile(shipped):
        return shipped
    names = ", ".join(sorted(file.stem for file in paths.recipes_dir().glob("*.yaml")))
    raise NotFoundError(f"No recipe {name}.", f"Give a .yaml file or one of: {names}.")


def load_recipe(path: Path, overrides: Sequence[str] = (), data: Path | None = None) -> Recipe:
    """Parse a recipe, with `key.sub=value` overrides; its `data` is relative to its folder.

    With other `data` the recipe's opening, speakers and cast go: they belonged to its own text.

    Raises:
        RecipeError: every fault at once, each with its key.
    """
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except _YAML_FAULTS as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise RecipeError(
            f"{path} is not valid YAML{where}.", "Compare it with recipes/adventure.yaml."
        ) from error
    if not isinstance(tree, dict):
        raise RecipeError(
            f"{path} is not a recipe (no keys).", "Compare it with recipes/adventure.yaml."
        )
    if data is not None:
        tree["data"] = str(data.resolve())
        for section, key in _OF_ITS_TEXT:
            if isinstance(tree.get(section), dict):
                tree[section].pop(key, None)
    elif isinstance(tree.get("data"), str):
        # An absolute path stays what it is.
        tree["data"] = str((path.parent / paths.expanded(tree["data"])).resolve())
    for override in overrides:
        _apply(tree, override)
    return parse_recipe(tree, str(path))


def parse_recipe(tree: dict[str, Any], where: str) -> Recipe:
    try:
        return Recipe.model_validate(tree)
    except ValidationError as error:
        faults = "; ".join(_fault(detail) for detail in error.errors())
        count = error.error_count()
        raise RecipeError(
            f"{where}: {count} fault{'s' if count > 1 else ''}: {faults}.",
            "Every key is explained in recipes/adventure.yaml.",
        ) from error


def dump_recipe(recipe: Recipe) -> str:
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _fault(detail: Any) -> str:
    key = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        return f"`{key}` is not a recipe key"
    if detail["type"] == "missing":
        return f"`{key}` is missing"
    message = detail["msg"].removeprefix("Value error, ").lower()
    return f"`{key}`: {message} (is {_BRIEF.repr(detail['input'])})"


def _apply(tree: dict[str, Any], override: str) -> None:
    key, sign, value = override.partition("=")
    if not sign or not key.strip():
        raise RecipeError(
            f"--set {override} is not KEY=VALUE.", "For example: --set training.epochs=2"
        )
    *parents, leaf = key.strip().split(".")
    node = tree
    for parent in parents:
        child = node.setdefault(parent, {})
        if not isinstance(child, dict):
            raise RecipeError(
                f"--set {override}: `{parent}` holds no keys.",
                "For example: --set training.epochs=2",
            )
        node = child
    try:
        node[leaf] = yaml.safe_load(value)
    except _YAML_FAULTS as error:
        raise RecipeError(f"--set {override}: the value is not valid YAML.", "Quote it.") from error
