"""The way down: no new requests, the running ones end, within a bounded time."""

from __future__ import annotations

import time
from collections.abc import Callable

from lmft.errors import EngineError

# After the deadline, for what is told to end to end.
_GRACE_SECONDS = 5.0
# What a client is told to wait: by then another server may be up.
RETRY_AFTER_SECONDS = 10


class LeavingError(EngineError):
    """The server is being stopped; 503 with Retry-After."""

    code = "shutting_down"

    def __init__(self) -> None:
        super().__init__("The server is being stopped.", "Try again shortly.")
        self.retry_after_seconds = float(RETRY_AFTER_SECONDS)


class Drain:
    """Attributes:
    seconds: how long the running requests may take. leaving: no new request is taken.
    running: requests to the API that have not ended.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.leaving = False
        self.running = 0
        self._deadline = float("inf")
        self._cuts: set[Callable[[], None]] = set()

    def begin(self) -> None:
        """Take no more requests. May be called by a signal handler."""
        if not self.leaving:
            self._deadline = time.monotonic() + self.seconds
            self.leaving = True

    def done(self) -> bool:
        """Nothing is running any more. Past the deadline what still is gets told to end."""
        late = time.monotonic() - self._deadline
        if late >= 0:
            for cut in tuple(self._cuts):
                cut()
        return self.leaving and (not self.running or late >= _GRACE_SECONDS)

    def register(self, cut: Callable[[], None]) -> Callable[[], None]:
        """Have `cut` called at the deadline; returns what takes it back."""
        self._cuts.add(cut)
        return lambda: self._cuts.discard(cut)
