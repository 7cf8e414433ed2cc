"""What `model` of a job means: a base that may be trained over here, or an adapter to go on from.

A caller cannot name a path or a hub's id: only the embedded base, those that the setting
`LMFT_BASES` allows, and those that adapters on this machine were trained over.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from lmft.errors import NotFoundError
from lmft.ids import is_alias, parse_adapter_id, slug
from lmft.jobs.request import Start
from lmft.registry.adapters import Adapter, get_adapter, list_adapters
from lmft.store.database import Store
from lmft.store.deployments import Deployments

EMBEDDED = "embedded"
BASES_VARIABLE = "LMFT_BASES"


def bases(settings: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The short name of each base that can be trained over -> its name in a recipe.

    Args:
        settings: `LMFT_BASES` lists further ones as recipes name them, separated by commas.
    """
    # The newest last: of two bases with one short name, the one that was trained over last counts.
    named = {adapter.id.base: adapter.manifest.base for adapter in reversed(list_adapters())}
    for name in settings.get(BASES_VARIABLE, "").split(","):
        if name := name.strip():
            named[slug(name.rstrip("/").rsplit("/", 1)[-1])] = name
    return named | {EMBEDDED: EMBEDDED}


def start_of(model: str, store: Store) -> Start:
    """Whether the caller may use it, is the caller's to ask beforehand.

    Raises:
        NotFoundError: neither a base that is allowed here nor an adapter.
    """
    if is_alias(model):
        adapter = _live(model, store)
    elif parse_adapter_id(model) is not None:
        adapter = get_adapter(model)
    else:
        return _base(model)
    return Start(
        adapter.manifest.base, adapter.id.base, str(adapter.id), str(adapter.contract.kind)
    )


def _base(model: str) -> Start:
    known = bases()
    for alias, name in known.items():
        if model in (alias, name):
            return Start(name, alias)
    raise NotFoundError(
        f"The base {model[:200]!r} cannot be trained over here.",
        f"Choose one of {', '.join(sorted(known))}, or an ft: model; "
        f"{BASES_VARIABLE} of the server allows more.",
    )


def _live(alias: str, store: Store) -> Adapter:
    live = Deployments(store).live().get(alias)
    versions = [one for one in list_adapters() if one.id.alias == alias]
    finals = [one for one in versions if not one.id.is_checkpoint]
    for adapter in finals:
        if str(adapter.id) == live:
            return adapter
    if not finals:
        raise NotFoundError(f"The model {alias[:200]!r} does not exist.")
    return finals[0]
