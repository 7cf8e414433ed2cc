"""Each adapter's counts while the server runs, written to disk now and then and at the end."""

from __future__ import annotations

import asyncio
import logging
import time

from lmft import paths
from lmft.ids import parse_adapter_id
from lmft.registry.traffic import WINDOWS, Counts, Traffic
from lmft.registry.traffic_files import heldout_logprob, read_traffic, traffic_file, write_text

WRITE_SECONDS = 30

log = logging.getLogger("lmft.gateway")


class TrafficBook:
    """Adapters only: a base has no held-out text of its own and no owner who watches it."""

    def __init__(self) -> None:
        self._books: dict[str, Traffic] = {}
        self._changed: set[str] = set()

    def add(self, model: str, counts: Counts) -> None:
        """Count what has just ended."""
        now = time.time()
        if (traffic := self._of(model, now)) is not None:
            traffic.add(counts, now)
            self._changed.add(model)

    def known(self) -> list[Traffic]:
        """What has been asked since this server started."""
        return list(self._books.values())

    def summary(self, model: str) -> dict[str, dict[str, float | None]] | None:
        """The figures of each window; None of a model that nobody asked, or a base."""
        traffic = self._books.get(model) or read_traffic(model)
        if traffic is None:
            return None
        now = time.time()
        return {window: traffic.summary(window, now).model_dump() for window in WINDOWS}

    async def run(self) -> None:
        """Write what changed every 30 s, until cancelled, and once more then."""
        try:
            while True:
                self._sweep()
                await asyncio.sleep(WRITE_SECONDS)
                await asyncio.to_thread(self._write, self._take())
        finally:
            self._write(self._take())

    def _sweep(self) -> None:
        """Forget adapters that were removed."""
        gone = [
            file
            for file in (paths.home() / "traffic").glob("[!.]*.json")
            if not (paths.adapters_dir() / file.stem).is_dir()
        ]
        for file in gone:
            file.unlink(missing_ok=True)
        for model in [model for model in self._books if traffic_file(model) in gone]:
            del self._books[model]
            self._changed.discard(model)

    def _of(self, model: str, now: float) -> Traffic | None:
        parsed = parse_adapter_id(model)
        if parsed is None:
            return None
        if model not in self._books:
            self._books[model] = read_traffic(model) or Traffic(
                model=model,
                since=now,
                until=now,
                heldout_logprob=heldout_logprob(paths.adapters_dir() / parsed.directory),
            )
        return self._books[model]

    def _take(self) -> dict[str, str]:
        """What is to be written, as text: the counts go on while it is."""
        texts = {model: self._books[model].model_dump_json() for model in self._changed}
        self._changed.clear()
        return texts

    @staticmethod
    def _write(texts: dict[str, str]) -> None:
        for model, text in texts.items():
            file = traffic_file(model)
            if file is None:
                continue
            try:
                write_text(file, text)
            except OSError as error:
                log.error("what %s was asked could not be written: %s", model, error.strerror)
