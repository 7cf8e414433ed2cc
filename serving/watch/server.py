"""uvicorn that drains: SIGTERM or Ctrl-C closes the door first and the server when it is empty."""

from __future__ import annotations

from types import FrameType

import uvicorn

from serving.watch.drain import Drain


class DrainingServer(uvicorn.Server):
    """The socket stays open while it drains, so that new requests hear why they are refused.

    A second signal ends at once: streams are cut, engines still stopped.

    Attributes:
        stopped_by: the first signal's number; None while there was none.
    """

    def __init__(self, config: uvicorn.Config, drain: Drain) -> None:
        super().__init__(config)
        self._drain = drain
        self.stopped_by: int | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.stopped_by is None:
            self.stopped_by = sig
            self._drain.begin()
        else:
            self.should_exit = self.force_exit = True

    async def on_tick(self, counter: int) -> bool:
        """Called by uvicorn ten times a second; true ends it."""
        if self._drain.leaving and self._drain.done():
            self.should_exit = True
        return await super().on_tick(counter)
