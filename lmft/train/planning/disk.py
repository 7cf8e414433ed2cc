"""What a run writes, counted before it begins."""

from __future__ import annotations

from dataclasses import dataclass

from lmft import machine, paths
from lmft.bases import Base
from lmft.train.planning.shape import shape_of
from lmft.train.recipe import Recipe
from lmft.train.servable import service_of

# LoRA weight and Adam's two moments, fp32. Two checkpoints are kept while a third is written.
_CHECKPOINT_BYTES, _CHECKPOINTS = 12, 3
_ADAPTER_BYTES = 4
# An epoch that is kept lies in the run's directory until it is published.
_KEPT_TWICE = 2
# Logs, samples, the report, the pages of the adapter; the served base's tokenizer.
_SLACK_BYTES = 50_000_000


@dataclass(frozen=True)
class Disk:
    """Bytes of each part.

    Attributes:
        adapter: with the epochs that are kept.
        variant: the served base, unless it lies there already.
        merged: the adapter merged into it, where it is served so.
    """

    adapter: int
    checkpoints: int
    variant: int
    merged: int = 0
    slack: int = _SLACK_BYTES

    @property
    def total(self) -> int:
        return self.adapter + self.checkpoints + self.variant + self.merged + self.slack


def disk_of(recipe: Recipe, base: Base, quantization: str, dtype: str) -> Disk:
    """Args: quantization, dtype: as the plan has them; see lmft.train.planning.plan."""
    n_lora = shape_of(base).n_lora(recipe.lora.rank)
    element = 4 if dtype == "float32" else 2
    # Its directory is named by lmft.train.variant.
    kept = "original"
    if quantization != "none" and recipe.serve_base != "original":
        kept = f"{quantization}-{dtype}"
    directory = paths.bases_dir() / f"{base.alias}-{base.hash[:8]}-{kept}"
    whole = base.n_parameters * element
    return Disk(
        adapter=_ADAPTER_BYTES * n_lora * (1 + _KEPT_TWICE * recipe.training.keep_epochs),
        checkpoints=_CHECKPOINTS * _CHECKPOINT_BYTES * n_lora,
        variant=0 if directory.is_dir() else whole,
        merged=whole if service_of(base.architecture, base.name) == "merged" else 0,
    )


def required_disk_bytes(recipe: Recipe, base: Base) -> int:
    """The most that a run of `recipe` writes, known before its text has been read."""
    kinds = ("nf4", "none") if recipe.quantization == "auto" else (recipe.quantization,)
    return max(disk_of(recipe, base, kind, machine.serving_dtype()).total for kind in kinds)
