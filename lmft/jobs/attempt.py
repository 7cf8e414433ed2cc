"""One attempt at a job, and what a training that is done has made, as values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Outcome = Literal["done", "failed", "paused", "cancelled", "stopped", "lost"]


@dataclass(frozen=True)
class Attempt:
    """Attributes:
    step: what it had reached when it ended. started_at, ended_at: Unix seconds.
    """

    attempt: int
    worker: str
    step: int | None
    started_at: int
    ended_at: int | None
    outcome: Outcome | None
    detail: str


@dataclass(frozen=True)
class Made:
    """What a training that is done has made.

    Attributes:
        checkpoints: step, model and metrics of each that can be asked for.
    """

    model: str
    trained_tokens: int
    result_file: str | None
    checkpoints: Sequence[tuple[int, str, Mapping[str, Any]]] = ()
