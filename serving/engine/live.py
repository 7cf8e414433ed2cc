"""Which adapters are loaded and proven. A request for one that is not yet waits until it is."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from lmft.errors import EngineError, NotFoundError, ProbeFailedError
from lmft.format.contract import FormatContract
from lmft.ids import parse_adapter_id
from lmft.registry.adapters import Adapter, get_adapter, list_adapters, verify
from serving.engine.client import EngineClient, UpstreamRefusal
from serving.engine.probe import ProbeResult, probe

State = Literal["live", "idle", "failed"]


@dataclass(frozen=True)
class ServedModel:
    """A model that may answer now.

    Attributes:
        engine_name: what vLLM calls it; internal and versioned, never shown.
        fingerprint: `base`, or the first 12 hex digits of the adapter's hash.
    """

    id: str
    engine_name: str
    fingerprint: str
    contract: FormatContract


class LiveAdapters:
    """Loads, proves and remembers the adapters of one base variant."""

    def __init__(
        self, client: EngineClient, base: ServedModel, variant: str | None, slots: int
    ) -> None:
        self.base = base
        self.variant = variant
        self._client = client
        self._slots = slots
        self._live: dict[str, ServedModel] = {}
        self._failed: dict[str, ProbeFailedError] = {}
        self._probes: dict[str, ProbeResult] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    def state(self, adapter_id: str) -> State:
        if adapter_id in self._failed:
            return "failed"
        return "live" if adapter_id in self._live else "idle"

    def probe_result(self, adapter_id: str) -> ProbeResult | None:
        return self._probes.get(adapter_id)

    def servable(self) -> list[Adapter]:
        """The published adapters that belong to this engine's base, newest first."""
        return [adapter for adapter in list_adapters() if adapter.manifest.variant == self.variant]

    async def resolve(
        self, model: str, on_progress: Callable[[str], None] = lambda _: None
    ) -> ServedModel:
        """The model of a public id, loaded and proven first if need be.

        Raises:
            NotFoundError: no such model here; never answered by another one.
            ProbeFailedError, AdapterCorruptError, EngineError: it is there and cannot be served.
        """
        if model == self.base.id:
            return self.base
        if served := self._live.get(model):
            return served
        if parse_adapter_id(model) is None:
            raise NotFoundError(
                f"The model {model!r} does not exist.", "GET /v1/models lists what there is."
            )
        async with self._locks.setdefault(model, asyncio.Lock()):
            if served := self._live.get(model):
                return served
            if failure := self._failed.get(model):
                raise failure
            adapter = get_adapter(model)
            if adapter.manifest.variant != self.variant:
                raise NotFoundError(
                    f"The model {model!r} belongs to another base ({adapter.manifest.variant}).",
                    f"Start `lmft serve --model {model}`.",
                )
            try:
                return await self._bring_up(adapter, on_progress)
            except ProbeFailedError as failure:
                self._failed[model] = failure
                raise

    async def _bring_up(self, adapter: Adapter, on_progress: Callable[[str], None]) -> ServedModel:
        public = str(adapter.id)
        digest = adapter.manifest.adapter_hash
        name = f"{adapter.id.key}-{digest[:12]}"
        on_progress(f"loading {public}")
        verify(adapter)
        try:
            await self._client.load_adapter(name, adapter.path)
        except UpstreamRefusal as refusal:
            raise ProbeFailedError(f"vLLM refuses adapter {public}: {refusal.message}") from refusal
        on_progress(f"proving {public}")
        try:
            self._probes[public] = await probe(
                self._client, adapter, name, self.base.engine_name, self._slots
            )
        except BaseException:
            # Whatever went wrong: the next request must be able to load it afresh.
            with contextlib.suppress(EngineError, UpstreamRefusal):
                await self._client.unload_adapter(name)
            raise
        served = ServedModel(public, name, digest[:12], adapter.contract)
        self._live[public] = served
        return served
