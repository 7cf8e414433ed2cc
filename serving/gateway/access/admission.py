"""Whether a request may run now, may wait, or must come again later: 429 with Retry-After.

One bound for the whole server keeps it from piling up what it cannot answer; limits of each key
bound what one application can use.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable, Hashable, Iterator
from dataclasses import dataclass

from lmft import machine
from lmft.errors import LmftError
from serving.gateway.access.buckets import Bucket
from serving.gateway.access.callers import Caller
from serving.gateway.access.queue import FairQueue, FullError

# Of the time that one request takes; the newest counts for a tenth.
_SMOOTHING = 0.1
_FIRST_GUESS_SECONDS = 2.0
_MAX_RETRY_SECONDS = 120.0
# Whoever comes back at the second that was named is let in.
_ROUNDING_SECONDS = 1e-3


class TooManyError(LmftError):
    """More than the server or the key has room for.

    Attributes:
        code: `server_busy`, or `rate_limit_exceeded` for a key's own limits.
    """

    def __init__(self, message: str, code: str, retry_after_seconds: float) -> None:
        self.code = code
        self.retry_after_seconds = min(max(retry_after_seconds, 1.0), _MAX_RETRY_SECONDS)
        super().__init__(message, f"Try again in {self.retry_after_seconds:.0f} s.")


@dataclass(frozen=True)
class Room:
    """Attributes:
    running: requests that are answered at the same time. waiting: further ones that wait.
    """

    running: int
    waiting: int


def default_room() -> Room:
    """What the engine has places for: more would only wait inside it."""
    return Room(256, 512) if machine.gpus() else Room(32, 64)


@dataclass
class _Usage:
    """One key's buckets; None where it has no such limit."""

    requests: Bucket | None
    tokens: Bucket | None


class Admitted:
    """A request that may run.

    Attributes:
        aside: gives the place to others meanwhile, and comes back in by the queue. Raises
            TooManyError when too many do that.
        headers: `x-ratelimit-*` as OpenAI names them, for keys that have such limits.
    """

    def __init__(
        self,
        usage: _Usage,
        now: Callable[[], float],
        aside: Callable[[], contextlib.AbstractAsyncContextManager[None]],
    ) -> None:
        self.aside = aside
        self._usage = usage
        self._now = now

    def used(self, tokens: int) -> None:
        """Count the tokens of prompt and answer against the key's limit."""
        if self._usage.tokens is not None:
            self._usage.tokens.take(tokens, self._now())

    @property
    def headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        for what, bucket in vars(self._usage).items():
            if bucket is not None:
                left = bucket.level(self._now())
                full = bucket.seconds_until(bucket.per_minute, self._now())
                headers |= {
                    f"x-ratelimit-limit-{what}": str(bucket.per_minute),
                    f"x-ratelimit-remaining-{what}": str(max(0, int(left))),
                    f"x-ratelimit-reset-{what}": f"{full:.1f}s",
                }
        return headers


class Admission:
    """Args:
    now: monotonic seconds.
    """

    def __init__(self, room: Room, now: Callable[[], float] = time.monotonic) -> None:
        self.queue = FairQueue(room.running, room.waiting)
        self._now = now
        self._usages: dict[Hashable, _Usage] = {}
        self._service_seconds = _FIRST_GUESS_SECONDS

    @contextlib.asynccontextmanager
    async def enter(self, caller: Caller, model: str) -> AsyncIterator[Admitted]:
        """Run inside when there is a place; waits for one in a bounded queue.

        Raises:
            NotFoundError: the caller may not use this model.
            TooManyError: try later.
        """
        caller.require_model(model)
        key = caller.key_id or caller.name
        usage = self._within_limits(caller, key)
        await self._in(key)
        began, inside = self._now(), True

        @contextlib.asynccontextmanager
        async def aside() -> AsyncIterator[None]:
            nonlocal began, inside
            with self._full():
                self.queue.step_aside(key)
            inside = False
            try:
                yield
            finally:
                self.queue.step_back(key)
            await self._in(key)
            began, inside = self._now(), True

        try:
            yield Admitted(usage, self._now, aside)
        finally:
            if inside:
                taken = self._now() - began
                self._service_seconds += _SMOOTHING * (taken - self._service_seconds)
                self.queue.leave(key)

    async def _in(self, key: Hashable) -> None:
        with self._full():
            await self.queue.enter(key)

    @contextlib.contextmanager
    def _full(self) -> Iterator[None]:
        try:
            yield
        except FullError as error:
            raise TooManyError(
                f"The server answers {self.queue.places} requests and {self.queue.waiting} wait.",
                "server_busy",
                self._service_seconds * (self.queue.waiting + 1) / self.queue.places,
            ) from error

    def _within_limits(self, caller: Caller, key: Hashable) -> _Usage:
        """Counts the request, unless a limit refuses it."""
        limits, now = caller.limits, self._now()
        usage = self._usages.get(key)
        if usage is None:
            usage = self._usages[key] = _Usage(
                requests=_bucket(limits.requests_per_minute, now),
                tokens=_bucket(limits.tokens_per_minute, now),
            )
        if limits.concurrent is not None and self.queue.present(key) >= limits.concurrent:
            raise TooManyError(
                f"This key may have {limits.concurrent} request(s) at the same time.",
                "rate_limit_exceeded",
                self._service_seconds / limits.concurrent,
            )
        for what, bucket in vars(usage).items():
            if bucket is not None and bucket.seconds_until(1, now) > _ROUNDING_SECONDS:
                raise TooManyError(
                    f"This key may use {bucket.per_minute} {what} a minute.",
                    "rate_limit_exceeded",
                    bucket.seconds_until(1, now),
                )
        if usage.requests is not None:
            usage.requests.take(1, now)
        return usage


def _bucket(per_minute: int | None, now: float) -> Bucket | None:
    return None if per_minute is None else Bucket(per_minute, now)
