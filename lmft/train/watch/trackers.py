"""Weights & Biases and MLflow, by transformers' own callbacks: only where the recipe names them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lmft.errors import RecipeError

_PROJECT = "lmft"


def require_trackers(track: Sequence[str]) -> None:
    """Raise RecipeError when a tracker that the recipe names is not installed."""
    if missing := [name for name in track if find_spec(name) is None]:
        raise RecipeError(
            f"`track` names {' and '.join(missing)}, which "
            f"{'is' if len(missing) == 1 else 'are'} not installed.",
            f"pip install {' '.join(missing)}, or take it out of the recipe.",
        )


def tracker_callbacks(track: Sequence[str], directory: Path) -> list[Any]:
    """A callback for each tracker; where they send to is their own environment's matter.

    Raises:
        RecipeError: one is not installed.
    """
    require_trackers(track)
    return [_make(name, directory) for name in track]


def _make(name: str, directory: Path) -> Any:
    from transformers.integrations import MLflowCallback, WandbCallback

    if name == "wandb":
        os.environ.setdefault("WANDB_PROJECT", _PROJECT)
        os.environ.setdefault("WANDB_DIR", str(directory))
        return WandbCallback()
    os.environ.setdefault("MLFLOW_EXPERIMENT_NAME", _PROJECT)
    return MLflowCallback()
