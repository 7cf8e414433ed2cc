"""Keeps one engine running: starts it, brings adapters up, starts it again when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lmft.errors import EngineError, LmftError, ProbeFailedError
from serving.engine.live import LiveAdapters, ServedModel
from serving.engine.process import EngineProcess, EngineSettings

log = logging.getLogger("lmft.engine")

MAX_FAILED_RESTARTS = 3
_WATCH_SECONDS = 0.5


@dataclass(frozen=True)
class Status:
    """Attributes:
    phase: what is being done, in words for people; detail: the error of a failure.
    """

    status: Literal["starting", "ready", "failed"]
    phase: str
    detail: str = ""


class Supervisor:
    """Owns the engine of one base variant.

    Attributes:
        warm: ids to load and prove before the engine counts as ready.
        strict: a warm adapter whose probe fails ends everything.
        failure: set once it has given up; the server then ends with it.
    """

    def __init__(
        self,
        settings: EngineSettings,
        base: ServedModel,
        variant: str | None,
        warm: Sequence[str],
        *,
        strict: bool,
    ) -> None:
        self.settings = settings
        self.warm = tuple(warm)
        self.strict = strict
        self.status = Status("starting", "starting")
        self.failure: LmftError | None = None
        self._base = base
        self._variant = variant
        self.engine = EngineProcess(settings)
        self.adapters = LiveAdapters(self.engine.client, base, variant, settings.slots)

    @property
    def ready(self) -> bool:
        return self.status.status == "ready"

    def require_ready(self) -> LiveAdapters:
        """Raises EngineError with code `engine_starting` while nothing can be answered."""
        if not self.ready:
            error = EngineError(
                f"The engine is not ready yet ({self.status.phase}).", "Try again shortly."
            )
            error.code = "engine_starting"
            raise error
        return self.adapters

    async def run(self) -> None:
        """Start and watch, until cancelled or beyond help; always leaves no process behind."""
        try:
            await self._start()
            failures = 0
            while True:
                while self.engine.running:
                    await asyncio.sleep(_WATCH_SECONDS)
                log.error("vLLM exited; starting it again")
                self.status = Status("starting", "vLLM died, starting it again")
                await self._replace_engine()
                try:
                    await self._start()
                    failures = 0
                except LmftError as error:
                    failures += 1
                    log.error("%s", error)
                    if failures >= MAX_FAILED_RESTARTS:
                        raise
                    # It may live and yet not serve: only a dead one is started again.
                    await self.engine.stop()
        except Exception as error:
            if not isinstance(error, LmftError):
                log.error("unexpected error", exc_info=error)
                error = EngineError(f"The engine could not be used: {error}.", "See its log.")
            self.failure = error
            self.status = Status("failed", "failed", str(error))
        finally:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(self.engine.stop())

    async def _start(self) -> None:
        def say(phase: str) -> None:
            self.status = Status("starting", phase)

        await self.engine.start(say)
        for adapter_id in self.warm:
            try:
                await self.adapters.resolve(adapter_id, say)
            except ProbeFailedError as error:
                # Asked for by name it must work; otherwise the others still can.
                if self.strict:
                    raise
                log.error("%s", error)
        self.status = Status("ready", "ready")

    async def _replace_engine(self) -> None:
        await self.engine.stop()
        self.engine = EngineProcess(self.settings)
        self.adapters = LiveAdapters(
            self.engine.client, self._base, self._variant, self.settings.slots
        )
