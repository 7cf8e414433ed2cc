"""How many requests run at once, and who comes next when more want to: fair between keys.

A place that falls free goes to the key that runs the fewest requests, and of two that run as
many to the one that has waited longer. When the queue is full, whoever has more in it than a
newcomer would have gives up his last place there.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Hashable


class FullError(Exception):
    """No place to run and none to wait."""


class FairQueue:
    """Args:
    places: requests that run at the same time. waiting: requests that may wait besides.
    """

    def __init__(self, places: int, waiting: int) -> None:
        self.places = places
        self.max_waiting = waiting
        self._running: Counter[Hashable] = Counter()
        self._aside: Counter[Hashable] = Counter()
        self._waiting: dict[Hashable, deque[asyncio.Future[None]]] = {}

    @property
    def running(self) -> int:
        return self._running.total()

    @property
    def waiting(self) -> int:
        return sum(len(queue) for queue in self._waiting.values())

    def present(self, key: Hashable) -> int:
        """Requests of a key: running, waiting and aside."""
        return self._running[key] + len(self._waiting.get(key, ())) + self._aside[key]

    async def enter(self, key: Hashable) -> None:
        """Take a place, after waiting for it if need be; `leave` gives it back.

        Raises:
            FullError: there is nowhere to wait either, or no longer.
        """
        if self.running < self.places and not self._waiting:
            self._running[key] += 1
            return
        if self.waiting >= self.max_waiting:
            self._make_room(key)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                # The place came in the moment in which the wish for it went.
                self.leave(key)
            else:
                self._drop(key, turn)
            raise

    def leave(self, key: Hashable) -> None:
        self._running[key] -= 1
        if not self._running[key]:
            del self._running[key]
        self._fill()

    def step_aside(self, key: Hashable) -> None:
        """Give the place back and stay present; `step_back` ends it, `enter` asks for another.

        Raises:
            FullError: as many stand aside as may run and wait.
        """
        if self._aside.total() >= self.places + self.max_waiting:
            raise FullError
        self._aside[key] += 1
        self.leave(key)

    def step_back(self, key: Hashable) -> None:
        self._aside[key] -= 1
        if not self._aside[key]:
            del self._aside[key]

    def _fill(self) -> None:
        while self._waiting and self.running < self.places:
            # The dictionary keeps the order in which keys began to wait, and min() takes the
            # first of equals.
            key = min(self._waiting, key=lambda key: self._running[key])
            turn = self._waiting[key][0]
            self._drop(key, turn)
            if key in self._waiting:
                self._waiting[key] = self._waiting.pop(key)
            if not turn.done():
                self._running[key] += 1
                turn.set_result(None)

    def _make_room(self, key: Hashable) -> None:
        greedy = max(self._waiting, key=lambda key: len(self._waiting[key]), default=None)
        mine = len(self._waiting.get(key, ()))
        if greedy is None or len(self._waiting[greedy]) <= mine + 1:
            raise FullError
        last = self._waiting[greedy][-1]
        self._drop(greedy, last)
        if not last.done():
            last.set_exception(FullError())

    def _drop(self, key: Hashable, turn: asyncio.Future[None]) -> None:
        queue = self._waiting.get(key)
        if queue and turn in queue:
            queue.remove(turn)
            if not queue:
                del self._waiting[key]
