"""The server's side: which trainings want its memory, and for how long."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from lmft.device.memory import engine_bytes
from lmft.device.records import Claim, Serving, shared, this_device
from lmft.device.registered import Registered, living

# Of a training that takes longer than foreseen nothing is known but that it goes on.
_OVERDUE_SECONDS = 10.0


@dataclass(frozen=True)
class Wanted:
    """Attributes:
    reason: who wants the memory, for people. seconds: until all who want it are done.
    """

    reason: str
    seconds: float


class Claims:
    """This server, as trainings see it, and the trainings that it must make room for.

    From here on a training waits for it: it looks whether it is `wanted` before it starts the
    first engine.
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._device = this_device(kind)
        self._registered = Registered(Serving(pid=os.getpid(), device=self._device))

    def close(self) -> None:
        """From here on no training waits for this server."""
        self._registered.close()

    def wanted(self) -> Wanted | None:
        """None while no training needs the memory of this server's engines."""
        claims = [one for one in living(Claim) if one.alone and shared(one.device, self._device)]
        if not claims:
            return None
        now = time.time()
        first = min(claims, key=lambda claim: claim.ticket)
        others = f" and {len(claims) - 1} more" if len(claims) > 1 else ""
        # One after the other; the end of those that wait was foreseen without their waiting.
        seconds = sum(max(one.ends_at - now, _OVERDUE_SECONDS) for one in claims)
        return Wanted(f"{first.what}{others} is being trained", seconds)

    def measure(self) -> None:
        """Tell what the engines take now. On a GPU this asks its driver, for part of a second."""
        self._registered.update(engine_bytes=engine_bytes(self._kind))

    def release(self) -> None:
        """This server has no engine now, and starts none."""
        self._registered.update(released=True)

    def resume(self) -> bool:
        """Whether it may have engines again; from then on a training waits for it."""
        self._registered.update(released=False)
        # A training that this look does not find looks at us only after that.
        if self.wanted() is None:
            return True
        self.release()
        return False
