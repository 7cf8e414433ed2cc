"""Names of models to leases on them: every adapter, alias and base, whichever engine has it."""

from __future__ import annotations

import asyncio
import logging

from lmft.errors import EngineError, LmftError, ProbeFailedError
from lmft.registry.adapters import Adapter
from lmft.store.deployments import Deployments
from serving.pool.catalog import Catalog
from serving.pool.deploy import Aliases
from serving.pool.leasing import Leasing
from serving.pool.lending import Lending
from serving.pool.listing import Listing
from serving.pool.member import Member
from serving.pool.members import Members
from serving.pool.names import Names
from serving.pool.plan import Limits
from serving.pool.served import Listed, Status

log = logging.getLogger("lmft.pool")

_RECONCILE_SECONDS = 0.5
_DRAIN_SECONDS = 30.0
_FOREVER_SECONDS = 24 * 3600.0


class Pool:
    """Every model of this server.

    Args:
        first: the adapter to have ready before anything else, without which to end with an
            error; where it is None, the newest one that can be served.
        plain_base: the base to serve where no adapter has been published.

    Attributes:
        failure: why it has given up, once it has. lease: see Leasing.lease.
    """

    def __init__(
        self,
        catalog: Catalog,
        deployments: Deployments,
        limits: Limits,
        *,
        first: str | None = None,
        plain_base: str = "embedded",
    ) -> None:
        self.failure: LmftError | None = None
        self._catalog = catalog
        self._members = Members(catalog, limits)
        self._aliases = Aliases(catalog, deployments, self._bring_up, self._members.retire)
        self._listing = Listing(catalog, self._members, self._aliases)
        self._names = Names(catalog, self._aliases)
        self._lending = Lending(self._members)
        self.lease = Leasing(self._names, self._members, self._lending).lease
        self._first, self._plain_base = first, plain_base
        self._opened = False
        self._primary: Member | None = None

    @property
    def status(self) -> Status:
        if self.failure is not None:
            return Status("failed", "failed", self.failure.message)
        if self._lending.reason is not None:
            return Status("starting", self._lending.reason)
        awake = self._members.awake()
        if self._opened and (not awake or any(member.ready for member in awake)):
            return Status("ready", "ready")
        told = self._primary or (awake[0] if awake else None)
        return Status("starting", told.phase if told else "reading what there is to serve")

    @property
    def lent(self) -> bool:
        """The engines are stopped, and the device is another's."""
        return self._lending.reason is not None

    def engines(self) -> list[Member]:
        """Those that were ever asked for, awake or not."""
        return self._members.all()

    async def run(self) -> None:
        """Start the first engine, then watch and reconcile until cancelled or beyond help.

        Leaves no process behind.
        """
        try:
            await self._open()
            while True:
                await self._aliases.reconcile()
                self._members.require_any()
                await asyncio.sleep(_RECONCILE_SECONDS)
        except LmftError as error:
            self.failure = error
        except Exception as error:
            log.error("unexpected error", exc_info=error)
            self.failure = EngineError("The server cannot go on.", "Its log says more.")
        finally:
            await asyncio.shield(self._close())

    def listed(self) -> list[Listed]:
        """Every model that can be asked: versions, newest first, then aliases, then bases."""
        return [entry for entry in self._listing.all() if entry.id not in self._names.deleting]

    async def delete(self, model: str) -> None:
        """Let its requests end (30 s at most), unload it, undeploy it, remove it from disk.

        Raises:
            NotFoundError: no adapter of that id; bases and aliases are not deleted.
        """
        adapter = self._names.to_delete(model)
        self._names.deleting.add(model)
        try:
            await self._aliases.forget(adapter)
            await self._members.forget(adapter, _DRAIN_SECONDS)
            await asyncio.to_thread(self._catalog.remove, adapter)
        finally:
            self._names.deleting.discard(model)

    async def give_up_device(self, reason: str, seconds: float | None) -> None:
        """Stop every engine, after its requests or 30 s; see Lending.give_up."""
        await self._lending.give_up(reason, seconds)

    async def take_back_device(self) -> None:
        """Start again what ran before, with all it had loaded, proven again."""
        await self._lending.take_back()

    async def _open(self) -> None:
        await asyncio.to_thread(self._catalog.refresh)
        await self._aliases.open()
        first, asked = await self._names.first(self._first, self._plain_base)
        self._primary = self._members.of(*asked)
        try:
            (await self.lease(first, wait_seconds=_FOREVER_SECONDS)).release()
        except LmftError as error:
            # Asked for by name it must work; otherwise the others still can.
            hopeless = self._primary.state == "failed" and not isinstance(error, ProbeFailedError)
            if self._first is not None or hopeless:
                raise
            log.error("%s", error)
        self._opened = True

    async def _bring_up(self, adapter: Adapter, by_hand: bool) -> None:
        """Load and prove a new version; what nobody asked for ends no other engine for it."""
        if not by_hand:
            self._members.require_room(self._catalog.base_of(adapter), adapter)
        (await self.lease(str(adapter.id), wait_seconds=_FOREVER_SECONDS)).release()

    async def _close(self) -> None:
        await self._aliases.close()
        await self._members.close()
