"""One answer while it comes in: the gateway's events folded into what a page can show."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Literal

from ui import text
from ui.events import Delta, Done, Event, GatewayError, Opened, PlayerSaid
from ui.merge import Update

log = logging.getLogger(__name__)

State = Literal["idle", "running", "done", "error"]


@dataclass
class Telling:
    """`model` and `adapter` are what the server said, never what was asked for."""

    state: State = "running"
    said: str = ""
    player: str = ""
    model: str = ""
    adapter: str = ""
    finish: str = ""
    tokens: int | None = None
    ttft: float | None = None
    dropped: int = 0
    error: Exception | None = None

    def take(self, update: Update[Event]) -> None:
        """Everything that one look at the stream brought."""
        for event in update.items:
            self._fold(event)
        if update.error:
            self.state, self.error = "error", update.error
            if not isinstance(update.error, GatewayError):
                # Not the server's refusal but a fault of ours: the page stays kind, the log not.
                log.error("reading an answer failed", exc_info=update.error)

    def stop(self) -> None:
        """The player pressed Stop: what is there stands."""
        if self.state == "running":
            self.state, self.finish = "done", "stopped"

    def _fold(self, event: Event) -> None:
        match event:
            case Opened():
                self.model, self.adapter = event.model, event.adapter
            case PlayerSaid():
                self.player = event.text
            case Delta():
                self.said += event.text
            case Done():
                self.state, self.finish = "done", event.finish_reason
                self.model, self.adapter = event.model, event.adapter
                self.said = self.said if event.text is None else event.text
                self.tokens, self.ttft = event.tokens, event.ttft
                self.dropped = event.dropped_turns


def explain(error: Exception) -> str:
    """An error in words that say what to do."""
    if not isinstance(error, GatewayError):
        return text.ERROR.format(message=type(error).__name__)
    if error.code in ("connection_failed", "connection_lost", "timed_out"):
        return error.message
    wait = text.WAIT.format(seconds=error.retry_after) if error.retry_after else ""
    return text.ERRORS.get(error.code, text.ERROR).format(message=error.message, wait=wait)


def is_starting(error: Exception | None) -> bool:
    """The engine is on its way: asking again soon makes sense."""
    return isinstance(error, GatewayError) and error.code == "engine_starting"
