"""What the gateway tells the pages, as plain values: no HTTP and no Gradio in here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Opened:
    """The server accepted the request, and its headers say which weights will answer."""

    model: str
    adapter: str


@dataclass(frozen=True)
class PlayerSaid:
    """The player's line as the model saw it."""

    text: str


@dataclass(frozen=True)
class Delta:
    text: str


@dataclass(frozen=True)
class Done:
    """The end of an answer.

    Attributes:
        text: the trimmed answer, which replaces what the deltas built; None where the server
            does not trim (raw completions), so that the deltas stand.
        ttft: seconds from asking to the first text; None when no text came.
    """

    finish_reason: str
    model: str
    adapter: str
    text: str | None = None
    tokens: int | None = None
    dropped_turns: int = 0
    fingerprint: str = ""
    ttft: float | None = None


Event = Opened | PlayerSaid | Delta | Done


@dataclass(frozen=True)
class Readiness:
    """The engine's own word: `status` is ready, starting or failed."""

    status: str
    phase: str = ""
    detail: str = ""


class GatewayError(Exception):
    """Any way in which the server did not answer.

    `code` is the server's, or connection_failed, connection_lost or timed_out where there was
    no server to give one; `message` is its own sentence.
    """

    def __init__(self, message: str, code: str = "", retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.retry_after = retry_after
