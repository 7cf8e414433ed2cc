"""A pretraining recipe: plain YAML, unknown keys refused, all faults reported at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from lmft import paths, recipe_file
from lmft.errors import NotFoundError
from lmft.recipe_file import Number, Section, Switch

EXAMPLE = "recipes/pretrain/new-base.yaml"
# The result is a folder of that name beside these (lmft.pretrain.folder).
_TAKEN = ("checkpoints", "lock")
# What vLLM's attention takes on every device.
HEAD_SIZE = 64


class Vocabulary(Section):
    """Byte-level BPE. With `chat`, tokens that begin and end a turn are reserved and trained, so
    that a chat template needs none that are new (see lmft.pretrain.chat)."""

    size: int = Field(default=8192, ge=512, le=65536)
    fold_quotes: bool = True
    chat: bool = True


class Shape(Section):
    """A GPT-2; heads have 64 dimensions each."""

    layers: int = Field(default=6, ge=1, le=48)
    width: int = Field(default=256, ge=HEAD_SIZE, le=4096, multiple_of=HEAD_SIZE)
    positions: int = Field(default=1024, ge=64, le=8192)


class Mix(Section):
    """Text that is derived from the corpus, as a share of its size."""

    second_person: Number = Field(default=0.0, ge=0, le=1)
    dialogue: Number = Field(default=0.0, ge=0, le=1)


class Training(Section):
    """The learning rate rises over `warmup_share` of the steps, stays, and falls to zero over the
    last `decay_share`. The steps of the last `long_share` have blocks as long as the model has
    positions; those before have `block_tokens`, which costs less attention, and positions beyond
    them learn nothing meanwhile. `compile: auto` is
    true where bf16 is fast and the training long enough to earn the minute that it takes."""

    tokens: Number = Field(gt=0)
    block_tokens: int = Field(default=512, ge=32)
    batch_blocks: int = Field(default=32, ge=1)
    micro_blocks: int = Field(default=8, ge=1)
    learning_rate: Number = Field(default=0.003, gt=0, lt=1)
    weight_decay: Number = Field(default=0.1, ge=0, lt=1)
    warmup_share: Number = Field(default=0.02, ge=0, le=0.5)
    decay_share: Number = Field(default=0.5, ge=0, le=1)
    long_share: Number = Field(default=0.3, ge=0, le=1)
    compile: Switch = "auto"
    evaluations: int = Field(default=10, ge=1, le=1000)
    checkpoint_minutes: Number = Field(default=5.0, ge=0)
    seed: int = Field(default=1, ge=0, lt=2**32)

    @model_validator(mode="after")
    def _whole_passes(self) -> Training:
        if self.batch_blocks % self.micro_blocks:
            raise ValueError("batch_blocks must be a multiple of micro_blocks")
        return self


class Pretraining(Section):
    """One base, complete: with the same text it can be made again.

    Attributes:
        prompts: what its samples go on from; an empty one is the beginning of a document.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")
    data: str
    continue_from: str | None = None
    heldout_share: Number = Field(default=0.01, gt=0, le=0.5)
    vocabulary: Vocabulary = Vocabulary()
    shape: Shape = Shape()
    mix: Mix = Mix()
    training: Training
    prompts: tuple[str, ...] = ("",)

    @model_validator(mode="after")
    def _fits(self) -> Pretraining:
        if self.name in _TAKEN:
            raise ValueError(f"name: {self.name} is taken; call it something else")
        if self.continue_from and {"vocabulary", "shape"} & self.model_fields_set:
            raise ValueError("vocabulary and shape are those of continue_from: leave them out")
        if not self.continue_from:
            self.require_blocks(self.shape.positions)
        return self

    def require_blocks(self, positions: int) -> None:
        """Raises ValueError: blocks that a model of so many positions does not take."""
        if self.training.block_tokens > positions:
            raise ValueError(f"training.block_tokens is larger than the model's {positions}")
        if self.training.long_share and self.step_tokens % positions:
            raise ValueError(
                f"a step of {self.step_tokens} tokens is no multiple of {positions} positions; "
                "change batch_blocks or block_tokens, or let long_share be 0"
            )

    def tree(self) -> dict[str, Any]:
        """All keys; without those that `continue_from` decides."""
        decided = {"vocabulary", "shape"} if self.continue_from else set()
        return self.model_dump(mode="json", exclude=decided)

    @property
    def steps(self) -> int:
        return max(1, round(self.training.tokens / self.step_tokens))

    @property
    def step_tokens(self) -> int:
        return self.training.batch_blocks * self.training.block_tokens


def find_pretraining(name: str) -> Path:
    """A path, or the name of a shipped recipe (`embedded-base`). Raises NotFoundError."""
    return recipe_file.find(name, paths.recipes_dir() / "pretrain")


def load_pretraining(
    path: Path, overrides: Sequence[str] = (), data: Path | None = None
) -> Pretraining:
    """Args: data: instead of the recipe's, which is relative to the recipe's folder.

    Raises:
        RecipeError: every fault at once, each with its key; NotFoundError: no such text.
    """
    tree = recipe_file.read_tree(path, Pretraining, EXAMPLE)
    recipe_file.override(tree, overrides, Pretraining)
    if data is not None:
        tree["data"] = str(data.resolve())
    elif isinstance(tree.get("data"), str):
        tree["data"] = str((path.parent / paths.expanded(tree["data"])).resolve())
    recipe = recipe_file.validated(Pretraining, tree, str(path), EXAMPLE)
    if not Path(recipe.data).exists():
        raise NotFoundError(f"There is no text at {recipe.data}.", "Give it with --data.")
    return recipe
