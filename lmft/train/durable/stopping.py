"""SIGTERM and Ctrl-C while training: once finishes the step and keeps it, twice leaves at once."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any, Self

from lmft.errors import Stopped
from lmft.processes import SAME_STOP_SECONDS

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_FIRST = b"\nstopping after this step (Ctrl-C again: at once)\n"


class StopSignals:
    """Context manager over a whole job; outside `deferred` a signal raises Stopped where it hits.

    Attributes:
        requested: the number of the signal that is to be obeyed after the step.
    """

    def __init__(self) -> None:
        self.requested: int | None = None
        self._asked_at = 0.0
        self._deferring = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        # Only there does Python let handlers be set; elsewhere the embedding program decides.
        if threading.current_thread() is threading.main_thread():
            self._before = {one: signal.signal(one, self._handle) for one in _SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextlib.contextmanager
    def deferred(self) -> Iterator[None]:
        """Inside, the first signal only sets `requested`; at the end it is obeyed."""
        self._deferring = True
        try:
            yield
        finally:
            self._deferring = False
        if self.requested is not None:
            raise Stopped(self.requested)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self._deferring:
            raise Stopped(number)
        if self.requested is not None:
            same = time.monotonic() - self._asked_at < SAME_STOP_SECONDS
            if same and number == self.requested == signal.SIGTERM:
                return
            raise Stopped(number)
        self.requested, self._asked_at = number, time.monotonic()
        if number == signal.SIGINT:
            # Not print: the signal may have come in the midst of one.
            os.write(2, _FIRST)
