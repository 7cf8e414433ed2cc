"""Which version of an adapter a person means."""

from __future__ import annotations

from lmft.errors import NotFoundError
from lmft.ids import is_alias
from lmft.registry.adapters import Adapter, get_adapter, list_adapters
from lmft.store.database import open_store, store_file
from lmft.store.deployments import Deployments


def live_versions() -> dict[str, str]:
    """alias -> id of the version it means; nothing where no server has ever run."""
    # A command that only looks makes no database.
    if not store_file().exists():
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
    if is_alias(text):
        versions = [one for one in list_adapters() if one.id.alias == text]
        if not versions:
            raise NotFoundError(f"No adapter {text}.", "`lmft models list` shows what there is.")
        newest = versions[0]
    else:
        newest = get_adapter(text)
        if text != newest.id.suffix:
            return newest
    live = live_versions().get(newest.id.alias)
    return get_adapter(live) if live else newest
