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
from dataclasses import dataclass

from lmft.errors import (
    DiskFullError,
    EngineError,
    EngineWakingError,
    LmftError,
    NotFoundError,
    StoreError,
)
from lmft.registry.adapters import Adapter
from lmft.store.deployments import Deployment, Deployments
from serving.pool.catalog import Catalog
from serving.pool.wishes import PUBLISHED, Wishes

log = logging.getLogger("lmft.pool")

# After an engine failed, which says nothing of the version: one that was given up may be started
# again after 60 s.
_TRY_AGAIN_SECONDS = (5.0, 20.0, 60.0, 120.0, 240.0)


@dataclass
class _UnderWay:
    """Attributes:
    wish: its number in the store; None where another server has made it live.
    early: nothing has changed yet, it may be broken off.
    """

    adapter_id: str
    wish: int | None
    early: bool = True

    def gives_way_to(self, adapter_id: str, wish: Deployment | None) -> bool:
        other = adapter_id != self.adapter_id or (wish is not None and wish.id != self.wish)
        return self.early and other


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
        self._wishes = Wishes(catalog, deployments)
        self._bring_up = bring_up
        self._retire = retire
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._under_way: dict[str, _UnderWay] = {}
        self._leaving: set[str] = set()
        self._refused: set[tuple[str, str]] = set()
        # Wishes that the store knows the end of: what was read a moment before may still hold one.
        self._ended: set[int] = set()

    async def open(self) -> None:
        """What the store says is live, as far as it is there still; else the newest version.

        Nothing is loaded by this: a request does that, and is not answered before the proof."""
        live, newest = await asyncio.to_thread(self._wishes.adopt)
        for alias, adapter in newest.items():
            named = live.get(alias, "")
            self.live[alias] = named if named in self._catalog.adapters else str(adapter.id)

    async def reconcile(self) -> None:
        """Read the folder and the store, and begin what is wanted; does not wait for it."""
        try:
            await asyncio.to_thread(self._catalog.refresh)
            wishes, live = await asyncio.to_thread(self._wishes.read)
        except (LmftError, OSError) as error:
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

    def _begin(self, alias: str, adapter_id: str, wish: Deployment | None) -> None:
        if (task := self._tasks.get(alias)) is not None:
            # It may wait for its engine for hours. The newer one begins with the next reconciling.
            if self._under_way[alias].gives_way_to(adapter_id, wish):
                task.cancel()
            return
        if adapter_id in self._leaving or self._is_settled(alias, adapter_id, wish):
            return
        self._under_way[alias] = _UnderWay(adapter_id, wish.id if wish else None)
        task = asyncio.create_task(self._deploy(alias, adapter_id, wish))
        self._tasks[alias] = task
        task.add_done_callback(lambda _: self._tasks.pop(alias, None))

    def _is_settled(self, alias: str, adapter_id: str, wish: Deployment | None) -> bool:
        if wish is None:
            return (alias, adapter_id) in self._refused
        return wish.id in self._ended

    async def _deploy(self, alias: str, adapter_id: str, wish: Deployment | None) -> None:
        under_way = self._under_way[alias]
        try:
            adapter = self._catalog.find(adapter_id)
            if adapter.id.alias != alias or adapter.id.is_checkpoint:
                raise NotFoundError(f"{adapter_id} is no version of {alias}.")
            # Nothing was live: it can be asked for now, and a request waits for its proof.
            self.live.setdefault(alias, adapter_id)
            by_hand = wish is not None and wish.reason != PUBLISHED
            try:
                await self._prove(adapter, by_hand)
            finally:
                under_way.early = False
            before = self.live.get(alias)
            self.live[alias] = adapter_id
            if wish is not None:
                await asyncio.to_thread(self._wishes.went_live, wish.id)
                self._ended.add(wish.id)
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
            await self._refuse(alias, under_way, error.message)
        except Exception as error:
            log.error("%s is not changed over", alias, exc_info=error)
            reason = f"{adapter_id} could not be brought up; the server's log says more."
            await self._refuse(alias, under_way, reason)

    async def _prove(self, adapter: Adapter, by_hand: bool) -> None:
        for seconds in _TRY_AGAIN_SECONDS:
            try:
                await self._bring_up(adapter, by_hand)
                return
            except EngineWakingError:
                raise
            except (EngineError, DiskFullError) as error:
                log.warning("%s is tried again in %.0f s: %s", adapter.id, seconds, error)
                await asyncio.sleep(seconds)
        await self._bring_up(adapter, by_hand)

    async def _refuse(self, alias: str, under_way: _UnderWay, reason: str) -> None:
        self._refused.add((alias, under_way.adapter_id))
        if under_way.wish is not None:
            with contextlib.suppress(LmftError):
                await asyncio.to_thread(self._wishes.failed, under_way.wish, reason)
                self._ended.add(under_way.wish)

    async def forget(self, adapter: Adapter) -> None:
        """Nothing means it any more; its alias goes back, in one step, to the version before."""
        alias, adapter_id = adapter.id.alias, str(adapter.id)
        self._leaving.add(adapter_id)
        try:
            task = self._tasks.get(alias)
            if task is not None and self._under_way[alias].adapter_id == adapter_id:
                if self._under_way[alias].early:
                    task.cancel()
                await asyncio.wait({task})
            before = await asyncio.to_thread(self._wishes.forget, adapter, self.live.get(alias))
            if self.live.get(alias) != adapter_id:
                return
            if before is None and alias in self._tasks:
                # As if nothing had been live when it began.
                before = self._under_way[alias].adapter_id
            if before is None:
                del self.live[alias]
            else:
                self.live[alias] = before
        finally:
            self._leaving.discard(adapter_id)

    async def close(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
