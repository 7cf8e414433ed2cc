"""uvicorn that drains: SIGTERM or Ctrl-C closes the door first and the server when it is empty."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn

from serving.watch.drain import Drain


def _nothing() -> None:
    pass


class DrainingServer(uvicorn.Server):
    """The socket stays open while it drains, so that new requests hear why they are refused.

    A second signal ends at once: connections are cut, and what the application has to end has
    little time for it. Hold `capture_signals` for as long as anything is left to end: uvicorn
    itself gives the signals back before its caller has ended what is its own.

    Args:
        on_force: called at the second signal, and at each one after it.

    Attributes:
        stopped_by: the first signal's number; None while there was none.
        forced: set at the second signal.
    """

    def __init__(
        self, config: uvicorn.Config, drain: Drain, on_force: Callable[[], None] = _nothing
    ) -> None:
        super().__init__(config)
        self._drain, self._on_force = drain, on_force
        self.stopped_by: int | None = None
        self.forced = asyncio.Event()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.stopped_by is None:
            self.stopped_by = sig
            self._drain.begin()
        else:
            self.should_exit = self.force_exit = True
            # A signal alone does not wake the loop, nor may a handler touch what is the loop's.
            asyncio.get_running_loop().call_soon_threadsafe(self._force)

    def _force(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        self._on_force()
        self.forced.set()

    async def on_tick(self, counter: int) -> bool:
        """Called by uvicorn ten times a second; true ends it."""
        if self._drain.leaving and self._drain.done():
            self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        if self.force_exit:
            # uvicorn leaves an application as it is then; ours has engines to end.
            await self.lifespan.shutdown()
