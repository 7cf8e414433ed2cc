"""What a key's name, scopes, models and limits may be."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from lmft.errors import InputError
from lmft.store.projects import DEFAULT_PROJECT, project_of
from lmft.store.tables import SCOPES

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")
# Ids and aliases of models, bases with a slash in their name included.
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,299}")
# The pages act in the first project, and the figures name the models of all.
_OPERATORS = ("metrics", "pages")


def check(
    name: str,
    scopes: Collection[str],
    models: Collection[str],
    limits: Mapping[str, int | None],
    project: str,
) -> None:
    """Raises InputError for what no key can be, with what to do instead."""
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{name!r} cannot be a key's name.",
            "Use at most 64 letters, digits, dots, hyphens and underscores.",
        )
    if odd := sorted(set(scopes) - set(SCOPES)):
        raise InputError(f"There is no scope {odd[0]!r}.", f"Scopes: {', '.join(SCOPES)}.")
    if not scopes:
        raise InputError("A key needs at least one scope.", f"Scopes: {', '.join(SCOPES)}.")
    if odd := sorted(model for model in models if not _MODEL.fullmatch(model)):
        raise InputError(
            f"{odd[0]!r} cannot be a model's name.", "`lmft models list` shows the models' ids."
        )
    if odd := sorted(model for model in models if project_of(model) not in (None, project)):
        raise InputError(
            f"{odd[0]} is a model of another project than {project}.",
            f"Make the key in its project: `lmft keys create NAME --project {project_of(odd[0])}`.",
        )
    if models and "metrics" in scopes:
        raise InputError(
            "A key for some models cannot have the scope metrics: its figures name every model.",
            "Make one key for the metrics and another for the models.",
        )
    shared = sorted(set(scopes) & set(_OPERATORS))
    if shared and project != DEFAULT_PROJECT:
        raise InputError(
            f"A key of project {project} cannot have the scope {shared[0]}: "
            "it reaches beyond one project.",
            f"Make one for it in the project {DEFAULT_PROJECT}.",
        )
    for what, value in limits.items():
        if value is not None and not 0 < value < 2**31:
            raise InputError(f"{what} is {value}.", "Give a number from 1 to 2147483647.")
