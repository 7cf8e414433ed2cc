"""What an engine says when it does not answer, as exceptions."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from lmft.errors import EngineError


class UpstreamRefusal(Exception):
    """vLLM answered a request with an error of the client's making (4xx)."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class AdapterRefused(Exception):
    """The engine does not load an adapter; the message is the engine's own."""


class EngineLostError(EngineError):
    """It broke off or does not answer; what takes its place is on its way."""

    retry_after_seconds = 5.0


def raise_for(status: int, text: str) -> None:
    """Raise UpstreamRefusal for a 4xx, EngineLostError for a 5xx."""
    if status < 400:
        return
    if status < 500:
        raise UpstreamRefusal(status, message_of(text) or text[:500])
    raise EngineLostError("The engine failed to answer.", "Try again.")


def broken_off(error: dict[str, Any]) -> Exception:
    """vLLM looks at a grammar only once the stream has begun, and refuses it as an event."""
    if error.get("code") == 400:
        return UpstreamRefusal(400, str(error.get("message")))
    return EngineLostError("The engine broke off its answer.", "Try again.")


def message_of(text: str) -> str:
    """What an error body says; empty where it is none."""
    with contextlib.suppress(ValueError, TypeError, KeyError):
        body = json.loads(text)
        return str(body["error"]["message"] if "error" in body else body["message"])
    return ""
