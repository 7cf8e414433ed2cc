"""What the store says of aliases, beside what lies in the adapters' folder. It blocks."""

from __future__ import annotations

from lmft.registry.adapters import Adapter
from lmft.store.deployments import Deployment, Deployments
from serving.pool.catalog import Catalog

PUBLISHED, FOUND, DELETED = "published", "found at the start", "the later version was deleted"


class Wishes:
    """Raises StoreError wherever the store cannot be used."""

    def __init__(self, catalog: Catalog, deployments: Deployments) -> None:
        self._catalog = catalog
        self._deployments = deployments
        self._known: set[str] = set()
        self.went_live = deployments.went_live
        self.failed = deployments.failed

    def adopt(self) -> tuple[dict[str, str], dict[str, Adapter]]:
        """At the start: make wishes of what came while no server ran.

        Returns:
            What is live, and the newest version; both by alias.
        """
        self._known = set(self._catalog.adapters)
        live, newest = self._deployments.live(), self._catalog.newest()
        for alias, adapter in newest.items():
            adapter_id, history = str(adapter.id), self._deployments.history(alias)
            if not history:
                self._deployments.went_live(self._deployments.want(alias, adapter_id, FOUND))
            elif all(entry.adapter_id != adapter_id for entry in history):
                # Published while no server ran; what is live stays so until its proof.
                self._deployments.want(alias, adapter_id, PUBLISHED)
                last = history[0]
                published_at = int(adapter.manifest.created_at.timestamp())
                if last.state == "wanted" and last.wanted_at >= published_at:
                    # Wished for by somebody who could see it.
                    self._deployments.want(alias, last.adapter_id, last.reason)
        return live, newest

    def read(self) -> tuple[dict[str, Deployment], dict[str, str]]:
        """Make wishes of what was published. Returns open wishes and what is live, by alias."""
        for adapter_id in self._catalog.adapters.keys() - self._known:
            alias = self._catalog.adapters[adapter_id].id.alias
            history = self._deployments.history(alias)
            if all(entry.adapter_id != adapter_id for entry in history):
                self._deployments.want(alias, adapter_id, PUBLISHED)
            self._known.add(adapter_id)
        return {wish.alias: wish for wish in self._deployments.wanted()}, self._deployments.live()

    def forget(self, adapter: Adapter, live: str | None) -> str | None:
        """Nothing means it any more. Returns what its alias goes back to if it is `live` now."""
        alias, adapter_id = adapter.id.alias, str(adapter.id)
        self._deployments.forget(adapter_id)
        before = self._deployments.before(alias)
        if live != adapter_id or before not in self._catalog.adapters:
            return None
        open_wish = next((one for one in self._deployments.wanted() if one.alias == alias), None)
        self._deployments.went_live(self._deployments.want(alias, before, DELETED))
        if open_wish is not None:
            # Going back is none of the wishes that give way to a newer one.
            self._deployments.want(alias, open_wish.adapter_id, open_wish.reason)
        return before
