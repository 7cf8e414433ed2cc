"""How often an engine may fail before it is given up, and how long to wait between its starts."""

from __future__ import annotations

import asyncio
import math
import time

from lmft.errors import EngineMissingError, LmftError, ProbeFailedError

# In a row, of an engine that has run, and of one that has not.
MAX_FAILURES, MAX_FIRST_FAILURES = 5, 2
# One that lived for less than this counts as one that did not start.
_STABLE_SECONDS = 30.0
_MAX_BACKOFF_SECONDS = 30.0
# After that long an engine that was given up may be asked for again: memory comes and goes.
_FORGIVEN_SECONDS = 60.0


class Failures:
    """Of one engine, over its starts."""

    def __init__(self) -> None:
        self._in_a_row = 0
        self._has_run = False
        self._ready_at: float | None = None
        self._forgiven_at = 0.0

    def ready(self) -> None:
        self._has_run = True
        self._ready_at = time.monotonic()

    def hopeless(self, error: LmftError) -> bool:
        """It has failed once more: is it of no use to start it again?"""
        ready_at, self._ready_at = self._ready_at, None
        if ready_at is not None and time.monotonic() - ready_at > _STABLE_SECONDS:
            self._in_a_row = 0
        self._in_a_row += 1
        limit = MAX_FAILURES if self._has_run else MAX_FIRST_FAILURES
        # What is proven wrong stays wrong; a start may go better the next time.
        proven = isinstance(error, (ProbeFailedError, EngineMissingError))
        given_up = proven or self._in_a_row >= limit
        if given_up:
            self._forgiven_at = math.inf if proven else time.monotonic() + _FORGIVEN_SECONDS
        return given_up

    def forgiven(self) -> bool:
        """May one that was given up be started again? If so it counts anew."""
        if time.monotonic() < self._forgiven_at:
            return False
        self._in_a_row = 0
        return True

    async def back_off(self) -> None:
        """At once after the first failure, later and later after the next ones."""
        if self._in_a_row > 1:
            await asyncio.sleep(min(2.0**self._in_a_row, _MAX_BACKOFF_SECONDS))
