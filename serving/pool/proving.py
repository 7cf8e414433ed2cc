"""Loading an adapter and proving it, by as much of the parity probe as has not been passed yet.

docs/decisions/0003-parity.md says why that is enough.
"""

from __future__ import annotations

import asyncio

from lmft.errors import EngineError, ProbeFailedError
from lmft.registry.adapters import Adapter
from serving.engine.client import EngineClient
from serving.engine.probe import ProbeResult, check, probe, probe_merged
from serving.engine.process import without_paths
from serving.engine.refusals import AdapterRefused, UpstreamRefusal


class Prover:
    """For one start of an engine.

    Args:
        slots: adapters in one batch.
        proofs: what this server has proven so far, by id; added to here.
    """

    def __init__(
        self, client: EngineClient, base_alias: str, slots: int, proofs: dict[str, ProbeResult]
    ) -> None:
        self._client = client
        self._base_alias = base_alias
        self._slots = slots
        self._proofs = proofs
        self._one_at_a_time = asyncio.Lock()
        self._mixed_ranks: set[int] = set()

    async def load(self, adapter: Adapter, name: str) -> None:
        """Raises ProbeFailedError: the engine refuses it. EngineError: it does not answer."""
        try:
            await self._client.load_adapter(name, adapter.path)
        except AdapterRefused as refusal:
            if not await self._client.healthy():
                raise EngineError("The engine died while loading an adapter.") from refusal
            reason = without_paths(str(refusal))
            raise ProbeFailedError(
                f"The engine refuses adapter {adapter.id}: {reason}"
            ) from refusal

    async def prove(self, adapter: Adapter, loaded_as: str, rank: int) -> None:
        """Raises ProbeFailedError: it does not answer as in training. EngineError: not at all."""
        name = str(adapter.id)
        try:
            if name in self._proofs and rank in self._mixed_ranks:
                await check(self._client, adapter, loaded_as)
                return
            # Each asks for several slots.
            async with self._one_at_a_time:
                twins = 0 if rank in self._mixed_ranks else max(1, self._slots - 1)
                self._proofs[name] = await probe(
                    self._client, adapter, loaded_as, self._base_alias, twins
                )
                self._mixed_ranks.add(rank)
        except (UpstreamRefusal, AdapterRefused) as refusal:
            raise _refused(name) from refusal


async def prove_merged(
    client: EngineClient, adapter: Adapter, alias: str, proofs: dict[str, ProbeResult]
) -> None:
    """Raises what `Prover.prove` raises."""
    try:
        proofs[str(adapter.id)] = await probe_merged(client, adapter, alias)
    except UpstreamRefusal as refusal:
        raise _refused(str(adapter.id)) from refusal


def _refused(name: str) -> ProbeFailedError:
    return ProbeFailedError(
        f"Adapter {name} is not served: the engine refuses its held-out prompts.",
        "It was trained over another base.",
    )
