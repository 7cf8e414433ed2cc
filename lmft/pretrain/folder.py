"""The folder of a pretraining: one owner at a time, one recipe.

FOLDER/
  recipe.yaml     what is being made
  lock            held (flock) by the process that trains; the kernel frees it when that dies
  tokens-KEY/     tokenizer and text (lmft.pretrain.data)
  checkpoints/    what a killed run goes on from (lmft.pretrain.keeping)
  metrics.jsonl   a line a step, and one for each look at what is held out
  energy.json     what all attempts took
  NAME/           the result, named as the recipe is: the base's name wherever it is used
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from lmft import paths, recipe_file
from lmft.errors import InputError
from lmft.pretrain.recipe import Pretraining

_RECIPE, _LOCK = "recipe.yaml", "lock"
# What may differ between attempts: how far it goes, which a run that has not ended may still learn,
# and what changes no step but in its rounding.
_MAY_CHANGE = {"tokens", "evaluations", "checkpoint_minutes", "micro_blocks", "compile"}


@contextlib.contextmanager
def owned(folder: Path, recipe: Pretraining) -> Iterator[None]:
    """The folder is there, is this process's own, and holds this recipe's run.

    Raises:
        InputError: another process trains there, or it holds what another recipe made.
    """
    with paths.disk_errors(folder):
        try:
            paths.make_dir(folder)
        except (FileExistsError, NotADirectoryError) as error:
            raise InputError(f"{folder} is no folder.", "Give another one with --out.") from error
        file, lock_file = folder / _RECIPE, folder / _LOCK
        if not lock_file.exists() and any(folder.iterdir()):
            raise InputError(
                f"{folder} holds something else.", "Give an empty folder, or a new one, with --out."
            )
        lock = lock_file.open("w")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(
                f"Another process trains in {folder}.", "Wait for it, or stop it."
            ) from error
        if file.is_file():
            _require_same(recipe, file, folder)
        with paths.disk_errors(folder):
            made = folder / f".{_RECIPE}"
            text = yaml.safe_dump(recipe.tree(), sort_keys=False, allow_unicode=True)
            made.write_text(text, encoding="utf-8")
            paths.fsync(made)
            os.replace(made, file)
        yield


def _require_same(recipe: Pretraining, file: Path, folder: Path) -> None:
    before = recipe_file.read_tree(file, Pretraining, str(file))
    if _lasting(before) != _lasting(recipe.tree()):
        raise InputError(
            f"{folder} holds the run of another recipe (see {file}).",
            "Give another folder with --out, or remove that one.",
        )


def _lasting(tree: dict[str, Any]) -> dict[str, Any]:
    training = tree.get("training")
    kept = training if isinstance(training, dict) else {}
    return {
        **tree,
        "training": {key: value for key, value in kept.items() if key not in _MAY_CHANGE},
    }
