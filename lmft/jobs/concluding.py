"""What the end of a trainer means for its job: done, tried again, or failed for good."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lmft.jobs.attempt import Attempt
from lmft.jobs.executors.base import Exited
from lmft.jobs.folder import EXIT_DISK_FULL, FencedError
from lmft.jobs.job import Job, JobError

# Attempts in a row that a job is lost in without getting further.
MOST_LOST = 3


@dataclass(frozen=True)
class Ending:
    """Attributes:
    outcome: `lost` is tried again, as is `stopped`. detail: why, for people.
    error: where it is not to be tried again: another attempt would end the same.
    """

    outcome: Literal["done", "failed", "stopped", "lost"]
    detail: str = ""
    error: JobError | None = None


def ending_of(said: Mapping[str, Any] | None, exited: Exited) -> Ending:
    """Args: said: by the trainer itself; None where it ended without a word."""
    if said is None:
        if exited.code == EXIT_DISK_FULL:
            return _failed("storage_full", "The disk is full. Free some space.")
        if exited.signal == signal.SIGTERM:
            # Told to end before it could say so.
            return Ending("stopped")
        return Ending("lost", str(exited))
    ended = said["ended"]
    if ended == "done":
        return Ending("done")
    if ended == "stopped":
        return Ending("stopped")
    if ended == "crashed":
        return Ending("lost", str(said.get("message", "")))
    message = f"{said['message']} {said.get('hint', '')}".strip()
    if said["code"] == FencedError.code:
        return Ending("stopped", message)
    return _failed(said["code"], message)


def without_progress(attempts: Sequence[Attempt], job: Job) -> bool:
    """Whether the attempt in progress is the last of MOST_LOST that came no further."""
    before = [one for one in attempts if one.attempt < job.attempt]
    lost = 1
    for one in reversed(before):
        if one.outcome != "lost" or one.step != job.step:
            break
        lost += 1
    return lost >= MOST_LOST


def _failed(code: str, message: str) -> Ending:
    return Ending("failed", message, JobError(code, message))
