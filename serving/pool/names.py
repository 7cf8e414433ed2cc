"""What a name means: a base, a version of an adapter, or an alias of one."""

from __future__ import annotations

import asyncio
import contextlib
from typing import NamedTuple

from lmft.errors import LmftError, NotFoundError
from lmft.ids import is_alias, parse_adapter_id
from lmft.registry.adapters import Adapter
from serving.pool.base import ServedBase
from serving.pool.catalog import Catalog, unknown
from serving.pool.deploy import Aliases


class Asked(NamedTuple):
    """A base, and an adapter over it if the name means one."""

    base: ServedBase
    adapter: Adapter | None


class Names:
    """Attributes:
    deleting: ids that are on their way out; nobody may ask for them any more.
    """

    def __init__(self, catalog: Catalog, aliases: Aliases) -> None:
        self.deleting: set[str] = set()
        self._catalog = catalog
        self._aliases = aliases

    async def find(self, model: str) -> Asked:
        """Looked up, never put together to a path.

        Raises:
            NotFoundError: no such model; nothing else answers in its name.
            AdapterCorruptError, ProbeFailedError: it is there and cannot be served.
        """
        if (base := self._catalog.base_named(model)) is not None:
            return Asked(base, None)
        if model in self.deleting:
            raise unknown(model)
        # An alias may mean one that is being deleted, until it has changed over.
        adapter_id = self._aliases.live.get(model, model)
        if parse_adapter_id(adapter_id) is None:
            raise unknown(model)
        if adapter_id not in self._catalog.adapters:
            # Published a moment ago, perhaps.
            await asyncio.to_thread(self._catalog.refresh)
        adapter = self._catalog.find(adapter_id)
        return Asked(self._catalog.base_of(adapter), adapter)

    def to_delete(self, model: str) -> Adapter:
        """Raises NotFoundError: no version of an adapter; bases and aliases are not deleted."""
        if is_alias(model):
            raise NotFoundError(
                f"{model} is an alias, which goes with its last version.",
                "Delete a version: its id ends with a key.",
            )
        if self._catalog.base_named(model) is not None:
            raise NotFoundError(f"{model} is a base: only versions of adapters are deleted.")
        if model in self.deleting:
            raise unknown(model)
        return self._catalog.find(model)

    async def first(self, wanted: str | None, plain_base: str) -> tuple[str, Asked]:
        """What to have ready before anything else: the adapter that is wanted, else the newest
        final one that can be served, else a base without adapters.

        Raises:
            NotFoundError, AdapterCorruptError, ProbeFailedError, BaseModelError.
        """
        if wanted is not None:
            return wanted, await self.find(wanted)
        for adapter in self._catalog.finals():
            with contextlib.suppress(LmftError):
                return str(adapter.id), await self.find(str(adapter.id))
        base = await asyncio.to_thread(self._catalog.add_base, plain_base)
        return base.public, Asked(base, None)
