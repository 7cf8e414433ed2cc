"""Names of models to leases on them."""

from __future__ import annotations

from lmft.dataset.encode import Encoder
from serving.engine.supervisor import Supervisor
from serving.pool.lease import Lease


class Pool:
    """The engines of this server; for now the one that was chosen at the start."""

    def __init__(self, supervisor: Supervisor, encoder: Encoder, base_name: str) -> None:
        self.supervisor = supervisor
        self.encoder = encoder
        self.base_name = base_name

    async def lease(self, model: str) -> Lease:
        """The model of a public id, loaded and proven first if need be.

        Raises:
            NotFoundError: no such model; it is never answered by another one.
            EngineError: `engine_starting` while its engine cannot answer yet.
            ProbeFailedError, AdapterCorruptError: it is there and cannot be served.
        """
        served = await self.supervisor.require_ready().resolve(model)
        return Lease(
            model=served,
            client=self.supervisor.engine.client,
            encoder=self.encoder,
            context_length=self.supervisor.settings.context_length,
            release=lambda: None,
        )
