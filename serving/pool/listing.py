"""The list of models: what can be asked for, and in which state it is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

from lmft.errors import LmftError
from lmft.registry.adapters import Adapter
from serving.pool.base import ServedBase
from serving.pool.catalog import Catalog
from serving.pool.deploy import Aliases
from serving.pool.member import Member
from serving.pool.members import Members
from serving.pool.served import Listed, State


class Listing:
    """Reads what the others know; changes nothing."""

    def __init__(self, catalog: Catalog, members: Members, aliases: Aliases) -> None:
        self._catalog = catalog
        self._members = members
        self._aliases = aliases
        self._started_at = int(time.time())

    def all(self) -> list[Listed]:
        """Versions, newest first, then aliases, then bases."""
        versions = {adapter_id: self._version(a) for adapter_id, a in self._adapters()}
        aliases = [
            replace(versions[adapter_id], id=alias, alias_of=adapter_id)
            for alias, adapter_id in self._aliases.live.items()
            if adapter_id in versions
        ]
        bases = [self._base(base) for base in self._catalog.bases.values()]
        return [*versions.values(), *aliases, *bases]

    def _adapters(self) -> Iterator[tuple[str, Adapter]]:
        yield from self._catalog.adapters.items()

    def _version(self, adapter: Adapter) -> Listed:
        adapter_id = str(adapter.id)
        listed = Listed(
            id=adapter_id,
            created=int(adapter.manifest.created_at.timestamp()),
            owner=adapter.id.org,
            contract=adapter.contract,
            base=adapter.id.base,
            fingerprint=adapter.manifest.adapter_hash[:12],
            state="failed",
            probe=None,
            service="lora",
        )
        try:
            base = self._catalog.base_of(adapter)
        except LmftError as error:
            return replace(listed, detail=error.message)
        member = self._members.find(base, adapter)
        merged = self._members.serves_merged(base, adapter)
        state, detail = _state(member, adapter_id)
        return replace(
            listed,
            base=base.public,
            service="merged" if merged else base.service,
            state=state,
            detail=detail or self._members.why_merged(adapter_id),
            probe=member.proofs.get(adapter_id) if member else None,
        )

    def _base(self, base: ServedBase) -> Listed:
        member = self._members.find(base, None)
        state, detail = _state(member, None)
        return Listed(
            id=base.public,
            created=self._started_at,
            owner="lmft",
            contract=base.model.contract,
            base=base.public,
            fingerprint="base",
            state=state,
            probe=None,
            # The base itself is what an engine runs; only its adapters would be merged.
            service="transformers" if base.service == "transformers" else "lora",
            detail=detail,
        )


def _state(member: Member | None, adapter_id: str | None) -> tuple[State, str]:
    """Of an adapter, or of what the engine itself is (a base, a merged model)."""
    if member is None or member.state == "asleep":
        return "idle", ""
    if member.state == "failed":
        return "failed", member.error.message if member.error else ""
    adapters = member.running.adapters if member.running else None
    if adapter_id is None or adapters is None:
        return ("live", "") if member.ready else ("loading", "")
    if failure := adapters.failure(adapter_id):
        return "failed", failure.message
    if adapters.is_loading(adapter_id):
        return "loading", ""
    return ("live" if adapters.is_loaded(adapter_id) else "idle"), ""
