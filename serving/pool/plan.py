"""What an engine of the pool is to run: a base with room for adapters, or one merged model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lmft.errors import ProbeFailedError
from lmft.registry.accepted import adapter_rank
from lmft.registry.adapters import Adapter
from lmft.train.servable import RANKS, slot_rank
from serving.engine.settings import EngineSettings, Slots
from serving.pool import memory
from serving.pool.base import ServedBase
from serving.pool.catalog import Catalog
from serving.pool.merging import merged_path
from serving.pool.served import ServedModel

_LEAST_RANK = 16


@dataclass(frozen=True)
class Limits:
    """What a person may set.

    Attributes:
        memory_bytes: for all engines together.
        slots: adapters in one batch. resident: adapters loaded at the same time, an engine.
        hang_seconds: an engine that gives no token for so long is replaced.
    """

    memory_bytes: int
    slots: int = 4
    resident: int = 32
    hang_seconds: float = 30.0


@dataclass(frozen=True)
class EnginePlan:
    """Attributes:
    name: of the engine, for its log. merged: the adapter that is in the weights.
    slots: None where no adapter is loaded at run time.
    """

    name: str
    base: ServedBase
    slots: Slots | None
    merged: Adapter | None = None

    @property
    def local(self) -> bool:
        return self.base.service == "transformers"

    @property
    def model(self) -> ServedModel:
        """What it serves when no adapter is asked for."""
        if self.merged is None:
            return self.base.model
        digest = self.merged.manifest.adapter_hash[:12]
        return ServedModel(
            str(self.merged.id),
            f"{self.merged.id.key}-{digest}-merged",
            digest,
            self.merged.contract,
        )

    @property
    def path(self) -> Path:
        return self.base.base.path if self.merged is None else merged_path(self.merged)

    def need(self, budget: int) -> memory.Need:
        """Args: budget: bytes that it may take."""
        # A merged model is as large as its base, and perhaps not there yet.
        return memory.need_of(
            self.base.base.path,
            self.base.context_length,
            self.slots,
            local=self.local,
            budget=budget,
        )

    def settings(self, budget: int) -> EngineSettings:
        """Args: budget: bytes that this engine may take."""
        need = self.need(budget)
        return EngineSettings(
            name=self.name,
            program="local" if self.local else "vllm",
            path=self.path,
            alias=self.model.engine_name,
            context_length=self.base.context_length,
            slots=self.slots,
            kv_cache_bytes=need.kv_cache,
            gpu_memory_share=memory.gpu_share(need),
        )


def plan_base(catalog: Catalog, base: ServedBase, limits: Limits) -> EnginePlan:
    """The engine of a base, with slots for the adapters there are over it."""
    slots = None
    if base.service != "merged":
        ranks = [rank for rank in map(_rank, catalog.over(base)) if rank <= RANKS[-1]]
        rank = slot_rank(max([_LEAST_RANK, *ranks]))
        slots = Slots(limits.slots, rank, max(limits.resident, limits.slots))
    return EnginePlan(base.key, base, slots)


def plan_merged(base: ServedBase, adapter: Adapter) -> EnginePlan:
    return EnginePlan(f"merged-{adapter.path.name}", base, None, adapter)


def _rank(adapter: Adapter) -> int:
    try:
        return adapter_rank(adapter)
    except ProbeFailedError:
        # It will be refused when it is asked for; the others must not suffer.
        return 0
