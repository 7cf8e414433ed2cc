"""What an engine of the pool has done over its starts and ends, for /metrics."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Tally:
    """Attributes:
    starts: how often its process was started. loads, failed_loads: adapters that were loaded
        and proven, and those that could not be. load_seconds: of both, in sum.
    """

    starts: int = 0
    loads: int = 0
    failed_loads: int = 0
    load_seconds: float = 0.0

    def load(self, seconds: float, *, ok: bool) -> None:
        self.load_seconds += seconds
        if ok:
            self.loads += 1
        else:
            self.failed_loads += 1
