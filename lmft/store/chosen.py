"""Which version of an adapter a person means."""

from __future__ import annotations

from lmft.errors import NotFoundError
from lmft.ids import is_alias
from lmft.registry.adapters import Adapter, get_adapter, list_adapters
from lmft.store.database import open_store, store_exists
from lmft.store.deployments import Deployments


def live_versions() -> dict[str, str]:
    """alias -> id of the version it means; nothing where no server has ever run."""
    # A command that only looks makes no database.
    if not store_exists():
        return {}
    store = open_store()
    try:
        return Deployments(store).live()
    finally:
        store.close()


def chosen(text: str) -> Adapter:
    """The adapter of an id or a key; by an alias, or the NAME in it, the version that is live, as
    a server answers it, and the newest where none is.

    Raises:
        NotFoundError: none; AdapterCorruptError: there, but unreadable.
    """
    alias = text
    if not is_alias(text):
        found = get_adapter(text)
        if text != found.id.suffix:
            return found
        alias = found.id.alias
    versions = [
        one for one in list_adapters() if one.id.alias == alias and not one.id.is_checkpoint
    ]
    if not versions:
        raise NotFoundError(f"No adapter {text}.", "`lmft models list` shows what there is.")
    live = live_versions().get(alias)
    # One that was removed by hand is live no more, as a server sees it too.
    return next((one for one in versions if str(one.id) == live), versions[0])
