"""Seconds of training: what evaluations take is not counted, earlier attempts are."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator


class Clock:
    """Stands still until `start`, and while `paused`."""

    def __init__(self, seconds_before: float = 0.0) -> None:
        self._seconds = seconds_before
        self._since: float | None = None

    @property
    def seconds(self) -> float:
        running = 0.0 if self._since is None else time.monotonic() - self._since
        return self._seconds + running

    def start(self) -> None:
        self._since = time.monotonic()

    def stop(self) -> None:
        self._seconds = self.seconds
        self._since = None

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        was_running = self._since is not None
        self.stop()
        try:
            yield
        finally:
            if was_running:
                self.start()
