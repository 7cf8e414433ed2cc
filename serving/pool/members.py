"""All engines of the pool: which one serves what."""

from __future__ import annotations

import asyncio
import logging

from lmft.errors import EngineWakingError, LmftError, ProbeFailedError
from lmft.registry.adapters import Adapter
from serving.pool.base import ServedBase
from serving.pool.catalog import Catalog
from serving.pool.member import Member
from serving.pool.plan import Limits, plan_base, plan_merged
from serving.pool.room import Room

log = logging.getLogger("lmft.pool")


class Members:
    """Attributes:
    blocked: nothing is woken while it is set.
    """

    def __init__(self, catalog: Catalog, limits: Limits) -> None:
        self.blocked = False
        self._catalog = catalog
        self._limits = limits
        self._members: dict[str, Member] = {}
        self._merged: dict[str, str] = {}
        self._starting = asyncio.Lock()
        self._room = Room(limits.memory_bytes)

    def all(self) -> list[Member]:
        return list(self._members.values())

    def awake(self) -> list[Member]:
        return [member for member in self._members.values() if member.awake]

    def find(self, base: ServedBase, adapter: Adapter | None) -> Member | None:
        """The engine of a model, if anybody has asked for one yet."""
        return self._members.get(self._key(base, adapter))

    def why_merged(self, adapter_id: str) -> str:
        """Why an adapter is served merged although its architecture takes LoRA; else empty."""
        return self._merged.get(adapter_id, "")

    def of(self, base: ServedBase, adapter: Adapter | None) -> Member:
        key = self._key(base, adapter)
        if key not in self._members:
            merged = adapter is not None and self.serves_merged(base, adapter)
            plan = (
                plan_merged(base, adapter)
                if merged and adapter is not None
                else plan_base(self._catalog, base, self._limits)
            )
            self._members[key] = Member(plan, self._limits, self._starting, self._room)
        return self._members[key]

    def serves_merged(self, base: ServedBase, adapter: Adapter) -> bool:
        return base.service == "merged" or str(adapter.id) in self._merged

    def woken(self, base: ServedBase, adapter: Adapter | None) -> Member:
        """The engine of a model, on its way up if it was not awake."""
        member = self.of(base, adapter)
        if not self.blocked:
            member.wake()
        return member

    def merge_instead(self, base: ServedBase, adapter: Adapter, error: ProbeFailedError) -> bool:
        """Serve it merged from now on, having failed as a LoRA; False where that is no way.

        All who waited for one load come here, one after the other, and all are to ask again.
        """
        if base.service != "lora":
            return False
        if (adapter_id := str(adapter.id)) not in self._merged:
            log.warning("%s; served merged into its base instead", error.message.rstrip("."))
            self._merged[adapter_id] = error.message
        return True

    def require_room(self, base: ServedBase, adapter: Adapter) -> None:
        """Raises EngineWakingError when its engine sleeps and another would have to for it."""
        member = self.of(base, adapter)
        if not member.awake and not self._room.fits(member):
            raise EngineWakingError(f"The engine of {member.plan.model.id} sleeps.", 1.0)

    def retire(self, adapter_id: str) -> None:
        """Unload it once nobody uses it."""
        for member in self._members.values():
            if member.running is not None and member.running.adapters is not None:
                member.running.adapters.retire(adapter_id)

    async def forget(self, adapter: Adapter, seconds: float) -> None:
        """Unload it everywhere, after its requests or so many seconds."""
        adapter_id = str(adapter.id)
        for key, member in list(self._members.items()):
            if member.plan.merged is not None and str(member.plan.merged.id) == adapter_id:
                await member.sleep(seconds)
                del self._members[key]
            elif member.running is not None and member.running.adapters is not None:
                await member.running.adapters.forget(adapter_id, seconds)
        self._merged.pop(adapter_id, None)

    def require_any(self) -> None:
        """Raises the error of an engine when all of them have failed for good.

        An adapter that did not pass its proof is no engine that failed.
        """
        errors: list[LmftError] = []
        for member in self._members.values():
            if member.state != "failed" or isinstance(member.error, ProbeFailedError):
                return
            errors += [member.error] if member.error else []
        if errors:
            raise errors[0]

    async def close(self) -> None:
        """End them all; none starts any more, whoever still asks."""
        self.blocked = True
        await asyncio.gather(*(member.sleep() for member in self._members.values()))

    def _key(self, base: ServedBase, adapter: Adapter | None) -> str:
        if adapter is not None and self.serves_merged(base, adapter):
            return f"{base.key}:{adapter.id}"
        return base.key
