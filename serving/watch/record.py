"""What is known of one request, from its first byte to its last."""

from __future__ import annotations

import time
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Any

# Nobody receives this status: the client had gone. nginx's number for it.
CLIENT_GONE = 499


@dataclass
class Record:
    """Attributes:
    started: `time.perf_counter()`; the other times are seconds since then.
    model, adapter: of the lease; empty until there is one, so that only models which exist
        are named in metrics. asked: the name in the request.
    status: what the request came to, which differs from the HTTP status where a stream broke
        or the client went.
    prompt, reply: only where the log is to hold them.
    """

    id: str
    method: str
    path: str
    client: str
    started: float = field(default_factory=time.perf_counter)
    http_status: int = 0
    status: int | None = None
    code: str | None = None
    asked: str | None = None
    model: str = ""
    adapter: str = ""
    stream: bool = False
    waited: float | None = None
    first_token: float | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    finish: list[str] = field(default_factory=list)
    prompt: str | None = None
    reply: list[str] | None = None

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.started

    @property
    def outcome(self) -> int:
        return self.http_status if self.status is None else self.status


def record_of(scope: MutableMapping[str, Any]) -> Record:
    """The record that the middleware put on the request; one of its own where there is none."""
    state = scope.setdefault("state", {})
    if "record" not in state:
        state["record"] = Record("", scope["method"], scope["path"], "")
    record: Record = state["record"]
    return record
