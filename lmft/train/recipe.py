"""The recipe: plain YAML, unknown keys refused, all faults reported at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from lmft import paths, recipe_file
from lmft.corpus.documents import Kind
from lmft.format.contract import SamplerDefaults, Speakers
from lmft.recipe_file import Number, Section, Switch


def _count_or_auto(value: Any) -> Any:
    """One fault with one key, where a union would report each of its members."""
    count = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    if value != "auto" and not count:
        raise ValueError("must be `auto` or a whole number from 1")
    return value


Count = Annotated[int | Literal["auto"], BeforeValidator(_count_or_auto)]
_EXAMPLE = "recipes/adventure.yaml"
_OF_ITS_TEXT = (
    ("format", "opening"),
    ("format", "speakers"),
    ("corpus", "model_plays"),
    ("corpus", "you_play"),
)


class Format(Section):
    """How the text is to be read; see lmft.format.contract."""

    kind: Literal["story", "adventure", "chat"] = "adventure"
    speakers: Speakers | None = None
    opening: str | None = None
    sampler: SamplerDefaults = SamplerDefaults()


class CorpusChoices(Section):
    """How raw text is compiled; see lmft.corpus.build.Settings. A compiled corpus ignores it."""

    kind: Literal[Kind, "auto"] = "auto"
    model_plays: str | None = None
    you_play: str | None = None
    skip_bad: bool = False


class Lora(Section):
    rank: int = Field(default=16, ge=1, le=512)
    alpha: int = Field(default=32, ge=1)
    dropout: Number = Field(default=0.0, ge=0, lt=1)


class Training(Section):
    """`auto` is chosen by lmft.train.planning, printed with its reason, kept with the adapter."""

    epochs: Number = Field(default=3.0, gt=0, le=1000)
    max_tokens: int | None = Field(default=None, ge=1)
    learning_rate: Number = Field(default=1e-3, gt=0, lt=1)
    block_tokens: Count = "auto"
    batch_blocks: Count = "auto"
    micro_blocks: Count = "auto"
    activation_checkpointing: Switch = "auto"
    compile: Switch = "auto"
    warmup_share: Number = Field(default=0.05, ge=0, le=0.5)
    evaluations: int = Field(default=4, ge=1, le=100)
    keep_epochs: int = Field(default=0, ge=0, le=10)
    checkpoint_minutes: Number = Field(default=5.0, ge=0)
    seed: int = Field(default=1, ge=0, lt=2**32)


class Preference(Section):
    """How strongly preferences pull away from the base; see lmft.train.preference."""

    beta: Number = Field(default=0.1, gt=0, le=10)


class Energy(Section):
    """What the run report makes of the energy that was used."""

    price_per_kwh: Number | None = Field(default=None, ge=0)
    currency: str = Field(default="EUR", min_length=1, max_length=8)
    country: str = Field(default="", pattern=r"^([A-Z]{3})?$")


class Recipe(Section):
    """One training job, complete: with the same text it can be run again."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")
    base: str = "embedded"
    data: str
    method: Literal["sft", "dpo", "kto"] = "sft"
    continue_from: str | None = None
    heldout: str | None = None
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
    """A path, or the name of a shipped recipe (`adventure`). Raises NotFoundError."""
    return recipe_file.find(name, paths.recipes_dir())


def load_recipe(path: Path, overrides: Sequence[str] = (), data: Path | None = None) -> Recipe:
    """Parse a recipe, with `key.sub=value` overrides; its `data` and `heldout` are relative to
    its folder, those of an override to the current one.

    With other `data` the recipe's held-out text, opening, speakers and cast go: they belonged to
    its own.

    Raises:
        RecipeError: every fault at once, each with its key.
    """
    tree = recipe_file.read_tree(path, Recipe, _EXAMPLE)
    if data is not None:
        tree["data"] = str(data.resolve())
        tree.pop("heldout", None)
        for section, key in _OF_ITS_TEXT:
            if isinstance(tree.get(section), dict):
                tree[section].pop(key, None)
    for key in ("data", "heldout"):
        if isinstance(tree.get(key), str):
            # An absolute path stays what it is.
            tree[key] = str((path.parent / paths.expanded(tree[key])).resolve())
    recipe_file.override(tree, overrides, Recipe)
    for key in ("data", "heldout"):
        if isinstance(tree.get(key), str):
            # What an override says is relative to where the person is, who may be elsewhere when
            # the run is gone on with.
            tree[key] = str(paths.expanded(tree[key]).resolve())
    return parse_recipe(tree, str(path))


def parse_recipe(tree: dict[str, Any], where: str) -> Recipe:
    """Raises RecipeError: every fault at once, each with its key."""
    return recipe_file.validated(Recipe, tree, where, _EXAMPLE)


def dump_recipe(recipe: Recipe) -> str:
    return recipe_file.dumped(recipe)
