"""All that watches the server, in one place for the application."""

from __future__ import annotations

import time
from collections import defaultdict

from lmft import paths
from serving.watch.drain import Drain
from serving.watch.log import RequestLog
from serving.watch.metrics import Metrics
from serving.watch.sampling import Sample
from serving.watch.traffic import TrafficBook


class Watch:
    """Args:
    drain_seconds: how long running requests may take once the server is told to end.
    log_texts: prompts and replies are written to the log too.
    """

    def __init__(self, *, drain_seconds: float, log_texts: bool) -> None:
        self.drain = Drain(drain_seconds)
        self.metrics = Metrics()
        self.log = RequestLog(paths.home() / "logs" / "gateway.log", texts=log_texts)
        self.traffic = TrafficBook()
        self._samples: dict[str, Sample] = defaultdict(Sample)

    async def run(self) -> None:
        """Keep what is watched on disk, until cancelled."""
        try:
            await self.traffic.run()
        finally:
            self.close()

    def close(self) -> None:
        self.log.close()

    def samples(self, model: str) -> bool:
        """Are this request's log-probabilities to be looked at?"""
        return self._samples[model].takes(time.monotonic())
