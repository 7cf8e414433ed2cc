"""What the store says of aliases, beside what lies in the adapters' folder. It blocks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from lmft.registry.adapters import Adapter
from lmft.store.deployments import Deployment, Deployments
from serving.pool.catalog import Catalog

PUBLISHED, FOUND = "newly published", "found when the server started"
DELETED = "the later version was deleted"
# What servers wrote that gave rows to the newest of several versions only.
_OLD_REASONS = ("published", "found at the start")


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
        versions = defaultdict(list)
        for adapter in self._catalog.finals():
            versions[adapter.id.alias].append(adapter)
        for alias, found in versions.items():
            history = self._deployments.history(alias)
            self._adopt(alias, _unheard_of(found, history), history)
        return live, newest

    def _adopt(self, alias: str, new: Sequence[Adapter], history: Sequence[Deployment]) -> None:
        """Args: new: the versions that have no row, newest first."""
        wish = None
        # The newest last, and a row for each: what has none at the next start has come since,
        # whatever its manifest says of the time. The clock of its training may have been wrong.
        for adapter in reversed(new):
            wish = self._deployments.want(alias, str(adapter.id), PUBLISHED if history else FOUND)
        if wish is None:
            return
        if not history:
            self._deployments.went_live(wish)
            return
        # Published while no server ran; what is live stays so until its proof.
        last = history[0]
        by_hand = last.reason not in (PUBLISHED, FOUND, *_OLD_REASONS)
        if last.state == "wanted" and by_hand and last.wanted_at >= _published_at(new[0]):
            # Wished for by somebody who could see it.
            self._deployments.want(alias, last.adapter_id, last.reason)

    def read(self) -> tuple[dict[str, Deployment], dict[str, str]]:
        """Make wishes of what was published. Returns open wishes and what is live, by alias."""
        # The newest last: each wish of an alias gives way to the next.
        for adapter in reversed(self._catalog.finals()):
            alias, adapter_id = adapter.id.alias, str(adapter.id)
            if adapter_id in self._known:
                continue
            history = self._deployments.history(alias)
            if all(entry.adapter_id != adapter_id for entry in history):
                self._deployments.want(alias, adapter_id, PUBLISHED)
            self._known.add(adapter_id)
        return {wish.alias: wish for wish in self._deployments.wanted()}, self._deployments.live()

    def forget(self, adapter: Adapter, live: str | None) -> str | None:
        """Nothing means it any more. Returns what its alias goes back to if it is `live` now."""
        alias, adapter_id = adapter.id.alias, str(adapter.id)
        if live != adapter_id:
            self._deployments.forget(adapter_id)
            return None
        return self._deployments.go_back(alias, adapter_id, DELETED, self._catalog.adapters)


def _unheard_of(versions: Sequence[Adapter], history: Sequence[Deployment]) -> list[Adapter]:
    """Those without a row, but for what an old server has passed over.

    Args:
        versions: newest first.
    """
    known = {entry.adapter_id for entry in history}
    passed = max((one.wanted_at for one in history if one.reason in _OLD_REASONS), default=-1)
    return [
        adapter
        for adapter in versions
        if str(adapter.id) not in known
        and (adapter is versions[0] or _published_at(adapter) > passed)
    ]


def _published_at(adapter: Adapter) -> int:
    return int(adapter.manifest.created_at.timestamp())
