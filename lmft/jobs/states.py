"""The states of a job and what may follow which: a pure table. docs/jobs.md draws it.

The database holds the same table in a trigger; a test compares the two.
"""

from __future__ import annotations

from typing import Literal, get_args

from lmft.errors import UserError

Status = Literal[
    "validating_files", "queued", "running", "paused", "succeeded", "failed", "cancelled"
]
Wish = Literal["", "pause", "cancel"]
Verb = Literal["cancel", "pause", "resume"]

STATUSES: tuple[Status, ...] = get_args(Status)
ENDED: frozenset[Status] = frozenset({"succeeded", "failed", "cancelled"})
# `running` goes back to `queued` when its worker or its trainer was lost.
GOES_TO: dict[Status, frozenset[Status]] = {
    "validating_files": frozenset({"queued", "paused", "failed", "cancelled"}),
    "queued": frozenset({"running", "paused", "failed", "cancelled"}),
    "running": frozenset({"queued", "paused", "succeeded", "failed", "cancelled"}),
    "paused": frozenset({"validating_files", "queued", "failed", "cancelled"}),
    "succeeded": frozenset(),
    "failed": frozenset(),
    "cancelled": frozenset(),
}


class StateConflictError(UserError):
    """The job is not in a state in which that can be asked of it."""

    code = "invalid_state"


def asked(verb: Verb, status: Status, wish: Wish, *, validated: bool) -> tuple[Status, Wish]:
    """Status and wish of a job once a person has asked `verb` of it.

    What runs is only wished for: its worker ends it in order, and then says so. Asking for what
    is so already changes nothing, and a cancel is never taken back.

    Args:
        validated: its files have been looked at.

    Raises:
        StateConflictError: it has ended, or there is nothing to resume.
    """
    if status in ENDED or (wish == "cancel" and verb != "cancel"):
        state = status if status in ENDED else "being cancelled"
        raise StateConflictError(f"The job is {state}: it cannot {verb}.", _INSTEAD)
    if verb == "cancel":
        return (status, "cancel") if status == "running" else ("cancelled", wish)
    if verb == "pause":
        # Validation goes on: what it finds is worth knowing before anybody resumes.
        return (status, "pause") if status in ("running", "validating_files") else ("paused", "")
    if status == "paused":
        return ("queued" if validated else "validating_files"), ""
    if wish == "pause":
        return status, ""
    raise StateConflictError(f"The job is {status}, not paused: it cannot resume.")


_INSTEAD = "Create another job; `model` may be the model of this one."
