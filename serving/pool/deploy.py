"""Aliases: which version each means, and how a new one takes its place.

Wishes come from the store (`lmft models deploy`, `rollback`) and from the adapters' folder
itself: what is published is wanted. The alias changes over only once the new version has been
loaded and proven; then the old one is unloaded, when its last request has been answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from lmft.errors import EngineWakingError, LmftError, NotFoundError, StoreError
from lmft.registry.adapters import Adapter
from lmft.store.deployments import Deployment, Deployments
from serving.pool.catalog import Catalog

log = logging.getLogger("lmft.pool")

PUBLISHED, FOUND = "published", "found at the start"


class Aliases:
    """Attributes:
    live: alias -> the id it means now. Changed in one step, by assignment.

    Args:
        bring_up: loads and proves an adapter; unless it was asked for by hand, raises
            EngineWakingError when its engine cannot be woken without ending another.
        retire: unloads a version that no alias means any more, once nobody uses it.
    """

    def __init__(
        self,
        catalog: Catalog,
        deployments: Deployments,
        bring_up: Callable[[Adapter, bool], Awaitable[None]],
        retire: Callable[[str], None],
    ) -> None:
        self.live: dict[str, str] = {}
        self._catalog = catalog
        self._deployments = deployments
        self._bring_up = bring_up
        self._retire = retire
        self._known: set[str] = set()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._refused: set[tuple[str, str]] = set()

    async def open(self) -> None:
        """What the store says is live, as far as it is there still; else the newest version.

        Nothing is loaded by this: a request does that, and is not answered before the proof.
        """
        live, newest = await asyncio.to_thread(self._adopt)
        for alias, adapter in newest.items():
            named = live.get(alias, "")
            self.live[alias] = named if named in self._catalog.adapters else str(adapter.id)
        self._known = set(self._catalog.adapters)

    def _adopt(self) -> tuple[dict[str, str], dict[str, Adapter]]:
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

    async def reconcile(self) -> None:
        """Read the folder and the store, and begin what is wanted; does not wait for it."""
        await asyncio.to_thread(self._catalog.refresh)
        try:
            wishes, live = await asyncio.to_thread(self._read)
        except LmftError as error:
            # The store may be locked for a moment; what is live goes on.
            log.error("%s", error)
            return
        for alias, adapter_id in live.items():
            # Another server over the same data may have changed it over.
            if alias not in wishes and self.live.get(alias) != adapter_id:
                self._begin(alias, adapter_id, None)
        for alias, wish in wishes.items():
            self._begin(alias, wish.adapter_id, wish)
        for alias, adapter_id in list(self.live.items()):
            if adapter_id not in self._catalog.adapters:
                del self.live[alias]

    def _read(self) -> tuple[dict[str, Deployment], dict[str, str]]:
        for adapter_id in self._catalog.adapters.keys() - self._known:
            self._known.add(adapter_id)
            alias = self._catalog.adapters[adapter_id].id.alias
            history = self._deployments.history(alias)
            if all(entry.adapter_id != adapter_id for entry in history):
                self._deployments.want(alias, adapter_id, PUBLISHED)
        return {wish.alias: wish for wish in self._deployments.wanted()}, self._deployments.live()

    def _begin(self, alias: str, adapter_id: str, wish: Deployment | None) -> None:
        if alias in self._tasks or (wish is None and (alias, adapter_id) in self._refused):
            return
        task = asyncio.create_task(self._deploy(alias, adapter_id, wish))
        self._tasks[alias] = task
        task.add_done_callback(lambda _: self._tasks.pop(alias, None))

    async def _deploy(self, alias: str, adapter_id: str, wish: Deployment | None) -> None:
        try:
            adapter = self._catalog.find(adapter_id)
            if adapter.id.alias != alias:
                raise NotFoundError(f"{adapter_id} is no version of {alias}.")
            # Nothing was live: it can be asked for now, and a request waits for its proof.
            self.live.setdefault(alias, adapter_id)
            by_hand = wish is not None and wish.reason != PUBLISHED
            await self._bring_up(adapter, by_hand)
            before = self.live.get(alias)
            self.live[alias] = adapter_id
            if wish is not None:
                await asyncio.to_thread(self._deployments.went_live, wish.id)
            if before != adapter_id:
                log.warning("%s now means %s", alias, adapter_id)
                if before is not None:
                    self._retire(before)
        except EngineWakingError:
            # Its engine sleeps and nobody needs it now: tried again with the next reconciling.
            return
        except StoreError as error:
            log.error("%s", error)
        except LmftError as error:
            log.error("%s is not changed over: %s", alias, error)
            self._refused.add((alias, adapter_id))
            if wish is not None:
                with contextlib.suppress(LmftError):
                    await asyncio.to_thread(self._deployments.failed, wish.id, error.message)

    async def forget(self, adapter: Adapter) -> None:
        """Nothing means it any more; an alias goes back to the version before, if there is one."""
        alias, adapter_id = adapter.id.alias, str(adapter.id)
        if task := self._tasks.get(alias):
            task.cancel()
        await asyncio.to_thread(self._deployments.forget, adapter_id)
        if self.live.get(alias) != adapter_id:
            return
        del self.live[alias]
        before = await asyncio.to_thread(self._deployments.before, alias)
        if before in self._catalog.adapters:
            wish = await asyncio.to_thread(
                self._deployments.want, alias, before, "the later version was deleted"
            )
            await asyncio.to_thread(self._deployments.went_live, wish)
            self.live[alias] = before

    async def close(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
