"""OpenAI's body of a new job -> a NewJob, with its recipe. Pure.

The shape of the body (which keys, which types) has been checked by the caller; what they mean
together is checked here. Of the recipe every fault is said at once.
"""

from __future__ import annotations

import importlib.util
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lmft.ids import mint_adapter_id, slug
from lmft.jobs.asked_recipe import asked_tree, require_recipe
from lmft.jobs.job import NewJob
from lmft.jobs.refused import JobRequestError

MAX_SEED = 2**32 - 1
# As large as a seed that OpenAI would have minted.
_MINTED_SEEDS = 2**31
_NAME_CHARACTERS = 40
_NO_SUFFIX = "model"


@dataclass(frozen=True)
class Start:
    """What a job trains over.

    Attributes:
        base: as a recipe names it. alias: the second part of the new adapter's id.
        continue_from: the id of the adapter that it goes on from. kind: what that adapter speaks.
    """

    base: str
    alias: str
    continue_from: str | None = None
    kind: str | None = None


def new_job(
    body: Mapping[str, Any],
    start: Start,
    *,
    project_id: int,
    project: str,
    key: int | None = None,
    installed: Callable[[str], bool] = lambda name: importlib.util.find_spec(name) is not None,
) -> NewJob:
    """The job that `body` asks for, with a seed and an adapter's id of its own.

    Args:
        start: what `model` means to whoever asks.
        installed: whether a tracker can be imported here.

    Raises:
        JobRequestError: what cannot be.
    """
    _require_plain(body)
    extra: Mapping[str, Any] = body.get("lmft") or {}
    method = _method(body, extra)
    tree = asked_tree(body, extra, method)
    suffix = body.get("suffix")
    slugged = slug(suffix or _NO_SUFFIX)
    tree |= {"name": slugged[:_NAME_CHARACTERS], "base": start.base}
    if start.continue_from is not None:
        tree["continue_from"] = start.continue_from
        form = tree.setdefault("format", {})
        if isinstance(form, dict):
            form.setdefault("kind", start.kind)
    integrations = tuple(body.get("integrations") or ())
    if integrations:
        _require_one_tracker(integrations, installed)
        tree["track"] = ["wandb"]
    seed = body.get("seed")
    made = NewJob(
        project_id=project_id,
        key=key,
        method=method,
        model=body["model"],
        seed=secrets.randbelow(_MINTED_SEEDS) if seed is None else seed,
        adapter=str(mint_adapter_id(start.alias, slugged, org=project)),
        files=_files(body, extra),
        request=body,
        recipe=tree,
        suffix=suffix,
        validation_file=body.get("validation_file"),
        integrations=integrations,
        metadata=body.get("metadata") or {},
        hold=bool(extra.get("hold")),
        priority=extra.get("priority") or 0,
    )
    require_recipe(made)
    return made


def _require_plain(body: Mapping[str, Any]) -> None:
    """It will be kept as text: in both databases, and in answers that are strict JSON."""
    try:
        text = json.dumps(body, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (ValueError, RecursionError) as error:
        raise JobRequestError(
            "lmft", "The body holds what JSON text cannot: NaN, or half a surrogate pair."
        ) from error
    if "\\u0000" in text:
        raise JobRequestError("lmft", "The body holds a NUL character.")


def _method(body: Mapping[str, Any], extra: Mapping[str, Any]) -> Literal["sft", "dpo", "kto"]:
    asked = body.get("method") or {}
    kind, kto = asked.get("type"), bool(extra.get("kto"))
    if kind == "reinforcement":
        raise JobRequestError(
            "method.type",
            "lmft does not offer reinforcement fine-tuning: it runs no graders.",
            "Use `supervised`, or `dpo` on preferences.",
            "unsupported_parameter",
        )
    if odd := sorted(asked.keys() - {"type", kind}):
        raise JobRequestError(
            f"method.{odd[0]}",
            f"`method.type` is {kind}, but `method.{odd[0]}` is given.",
            f"Give `method.{kind}`.",
        )
    if kto and kind == "supervised":
        raise JobRequestError(
            "lmft.kto", "`lmft.kto` learns from preferences.", "Set method.type to dpo."
        )
    inside = (asked.get(kind) or {}).get("hyperparameters")
    before = body.get("hyperparameters")
    if inside is not None and before is not None and inside != before:
        raise JobRequestError(
            "hyperparameters",
            f"`hyperparameters` says other than `method.{kind}.hyperparameters`.",
            "Leave it out: it is OpenAI's old place for them.",
        )
    if kto:
        return "kto"
    return "dpo" if kind == "dpo" else "sft"


def _files(body: Mapping[str, Any], extra: Mapping[str, Any]) -> tuple[str, ...]:
    files = (body["training_file"], *(extra.get("files") or ()))
    if len(set(files)) < len(files):
        raise JobRequestError("lmft.files", "A file is named twice.")
    if body.get("validation_file") in files:
        raise JobRequestError(
            "validation_file",
            "The validation file is a training file too.",
            "Without one a part of the training files is held out.",
        )
    return files


def _require_one_tracker(
    integrations: tuple[Mapping[str, Any], ...], installed: Callable[[str], bool]
) -> None:
    if len(integrations) > 1:
        raise JobRequestError("integrations", "Only one integration of wandb can be followed.")
    if not installed("wandb"):
        raise JobRequestError(
            "integrations",
            "Weights & Biases is not installed on this server.",
            "Install it with `pip install wandb`, or leave `integrations` out.",
        )
