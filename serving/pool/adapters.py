"""The adapters that one running engine has loaded and proven.

A request for one that is loading waits for it. At most `resident` stay loaded: the least
recently used one leaves, but none that is held.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter, OrderedDict
from collections.abc import Iterable

from lmft.errors import EngineError, ProbeFailedError
from lmft.registry.adapters import Adapter
from serving.engine.client import EngineClient
from serving.engine.probe import ProbeResult
from serving.engine.refusals import UpstreamRefusal
from serving.engine.settings import Slots
from serving.pool.base import ServedBase
from serving.pool.proving import Prover, looked_at
from serving.pool.served import ServedModel
from serving.pool.tally import Tally

log = logging.getLogger("lmft.pool")

_POLL_SECONDS = 0.05


class RankAboveSlots(Exception):
    """The adapter is servable, but not in this engine's slots."""

    def __init__(self, rank: int) -> None:
        super().__init__(rank)
        self.rank = rank


class EngineAdapters:
    """Loads, proves, remembers and unloads the adapters of one running engine.

    Args:
        proofs: what this server has proven so far, by id; shared by an engine's successive
            starts, and added to here.
        tally: counts the loads.
    """

    def __init__(
        self,
        client: EngineClient,
        base: ServedBase,
        slots: Slots,
        proofs: dict[str, ProbeResult],
        tally: Tally,
    ) -> None:
        self._client = client
        self._base_path = base.base.path
        self._slots = slots
        self._proofs = proofs
        self._tally = tally
        self._loaded: OrderedDict[str, tuple[Adapter, ServedModel]] = OrderedDict()
        self._loading: dict[str, asyncio.Task[None]] = {}
        self._failed: dict[str, ProbeFailedError] = {}
        self._held: Counter[str] = Counter()
        self._leaving: set[str] = set()
        self._unloading: dict[str, asyncio.Task[None]] = {}
        self._prover = Prover(client, base.model.engine_name, slots.batch, proofs)

    def loaded(self) -> list[Adapter]:
        """Least recently used first."""
        return [adapter for adapter, _ in self._loaded.values()]

    def is_loaded(self, adapter_id: str) -> bool:
        return adapter_id in self._loaded

    def is_loading(self, adapter_id: str) -> bool:
        return adapter_id in self._loading

    def failure(self, adapter_id: str) -> ProbeFailedError | None:
        return self._failed.get(adapter_id)

    async def hold(self, adapter: Adapter) -> ServedModel:
        """Load and prove it if need be, and keep it loaded until `release`.

        Raises:
            RankAboveSlots, ProbeFailedError, AdapterCorruptError, EngineError.
        """
        name = str(adapter.id)
        # Held from now on, so that nothing unloads it between its coming and its use.
        self._held[name] += 1
        self._leaving.discard(name)
        try:
            while name not in self._loaded:
                await self._load_once(name, adapter)
        except BaseException:
            self.release(name)
            raise
        self._loaded.move_to_end(name)
        return self._loaded[name][1]

    def release(self, adapter_id: str) -> None:
        self._held[adapter_id] -= 1
        if not self._held[adapter_id]:
            del self._held[adapter_id]
            if adapter_id in self._leaving:
                self._unload(adapter_id)

    def retire(self, adapter_id: str) -> None:
        """Unload it as soon as nobody holds it; who asks for it before then keeps it."""
        self._leaving.add(adapter_id)
        if not self._held[adapter_id]:
            self._unload(adapter_id)

    async def forget(self, adapter_id: str, seconds: float) -> None:
        """Unload it once nobody holds it, or after so many seconds anyway."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._held[adapter_id]:
                    await asyncio.sleep(_POLL_SECONDS)
        if task := self._unload(adapter_id):
            await task
        self._failed.pop(adapter_id, None)
        self._proofs.pop(adapter_id, None)

    async def load_all(self, adapters: Iterable[Adapter]) -> None:
        """Bring back what an earlier start had loaded; one that fails is left out and said."""
        for adapter in adapters:
            try:
                await self.hold(adapter)
                self.release(str(adapter.id))
            except EngineError:
                raise
            except Exception as error:
                log.error("not loaded again: %s", error)

    async def _load_once(self, name: str, adapter: Adapter) -> None:
        if failure := self._failed.get(name):
            raise failure
        task = self._loading.get(name)
        if task is None:
            task = asyncio.create_task(self._load(name, adapter))
            self._loading[name] = task
            begun = time.monotonic()
            task.add_done_callback(lambda done: self._ended(name, done, begun))
        # One who stops waiting must not end it for the others.
        await asyncio.shield(task)

    def _ended(self, name: str, task: asyncio.Task[None], begun: float) -> None:
        self._loading.pop(name, None)
        if task.cancelled() or isinstance(error := task.exception(), RankAboveSlots):
            return
        self._tally.load(time.monotonic() - begun, ok=error is None)
        if isinstance(error, ProbeFailedError):
            self._failed[name] = error

    async def _load(self, name: str, adapter: Adapter) -> None:
        rank = await asyncio.to_thread(looked_at, adapter, self._base_path)
        if rank > self._slots.rank:
            raise RankAboveSlots(rank)
        if leaving := self._unloading.get(name):
            await leaving
        digest = adapter.manifest.adapter_hash
        engine_name = f"{adapter.id.version}-{digest[:12]}"
        await self._prover.load(adapter, engine_name)
        try:
            await self._prover.prove(adapter, engine_name, rank)
        except BaseException:
            # Whatever went wrong: the next request must be able to load it afresh.
            await self._unload_name(engine_name)
            raise
        self._loaded[name] = (
            adapter,
            ServedModel(name, engine_name, digest[:12], adapter.contract),
        )
        self._make_room()

    def _make_room(self) -> None:
        for name in list(self._loaded):
            if len(self._loaded) <= self._slots.resident:
                return
            if not self._held[name]:
                self._unload(name)

    def _unload(self, name: str) -> asyncio.Task[None] | None:
        self._leaving.discard(name)
        entry = self._loaded.pop(name, None)
        if entry is None:
            return None
        task = asyncio.create_task(self._unload_name(entry[1].engine_name))
        self._unloading[name] = task
        task.add_done_callback(lambda _: self._unloading.pop(name, None))
        return task

    async def _unload_name(self, engine_name: str) -> None:
        with contextlib.suppress(EngineError, UpstreamRefusal):
            await self._client.unload_adapter(engine_name)
