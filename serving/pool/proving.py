"""Loading an adapter and proving it, by as much of the parity probe as has not been passed yet.

docs/decisions/0003-parity.md says why that is enough.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

from lmft.errors import AdapterCorruptError, EngineError, ProbeFailedError
from lmft.public import without_machine
from lmft.registry.accepted import adapter_rank, require_accepted
from lmft.registry.adapters import Adapter, verify
from serving.engine.client import EngineClient
from serving.engine.probe import ProbeResult, check, probe, probe_merged
from serving.engine.refusals import AdapterRefused, UpstreamRefusal

# What comes of files and answers that are put together otherwise than ours.
_ODD = (ValueError, LookupError, TypeError, ArithmeticError, RecursionError)


def looked_at(adapter: Adapter, base: Path) -> int:
    """Whether its files are what was published, and what an engine takes; its rank.

    Args:
        base: directory of the base it was trained over.

    Raises:
        AdapterCorruptError: they are not, or cannot be read. ProbeFailedError: no engine would
            serve it.
    """
    try:
        verify(adapter)
        require_accepted(adapter, base)
        return adapter_rank(adapter)
    except OSError as error:
        raise AdapterCorruptError(
            f"The files of adapter {adapter.id} cannot be read: {error.strerror}."
        ) from error
    except _ODD as error:
        raise ProbeFailedError(
            f"Adapter {adapter.id} is not served: its files are none of lmft's.", "Train it again."
        ) from error


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
            await self._require_alive(refusal)
            reason = without_machine(str(refusal))
            raise ProbeFailedError(
                f"The engine refuses adapter {adapter.id}: {reason}"
            ) from refusal

    async def prove(self, adapter: Adapter, loaded_as: str, rank: int) -> None:
        """Raises ProbeFailedError: it does not answer as in training. EngineError: not at all.
        DiskFullError, MachineError: what is needed for the proof cannot be written."""
        try:
            with _comparable(adapter):
                await self._prove(adapter, loaded_as, rank)
        except AdapterRefused as refusal:
            # One of the batch with twins.
            await self._require_alive(refusal)
            raise _refused(adapter) from refusal

    async def _prove(self, adapter: Adapter, loaded_as: str, rank: int) -> None:
        name = str(adapter.id)
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

    async def _require_alive(self, refusal: AdapterRefused) -> None:
        if not await self._client.healthy():
            raise EngineError("The engine died while loading an adapter.") from refusal


async def prove_merged(
    client: EngineClient, adapter: Adapter, alias: str, proofs: dict[str, ProbeResult]
) -> None:
    """Raises what `Prover.prove` raises."""
    with _comparable(adapter):
        proofs[str(adapter.id)] = await probe_merged(client, adapter, alias)


@contextlib.contextmanager
def _comparable(adapter: Adapter) -> Iterator[None]:
    try:
        yield
    except UpstreamRefusal as refusal:
        raise _refused(adapter) from refusal
    except _ODD as error:
        raise ProbeFailedError(
            f"Adapter {adapter.id} is not served: the engine's answers are not to be compared "
            "with those in training.",
            "Train it again with this version of lmft; `lmft doctor` shows the versions.",
        ) from error


def _refused(adapter: Adapter) -> ProbeFailedError:
    return ProbeFailedError(
        f"Adapter {adapter.id} is not served: the engine refuses its held-out prompts.",
        "It was trained over another base.",
    )
