"""A job of `GET /v1/lmft/jobs/ID` and of the list of jobs, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ui import text_train as text

MOVING = frozenset({"validating_files", "queued", "running", "pausing", "cancelling"})
ENDED = frozenset({"succeeded", "failed", "cancelled"})
# Of a job that this page has made, to know those that were only looked at.
MADE_BY = {"made_by": "train-page"}

Tree = Mapping[str, Any]


@dataclass(frozen=True)
class Listed:
    """A line of the list. Attributes: created: Unix seconds."""

    id: str
    name: str
    model: str
    state: str
    created: int
    is_draft: bool = False

    @classmethod
    def parse(cls, job: Tree) -> Listed:
        ours = (job.get("metadata") or {}).items() >= MADE_BY.items()
        state = _state(job)
        return cls(
            id=str(job["id"]),
            name=name_of(job),
            model=str(job.get("model") or ""),
            state=state,
            created=int(job.get("created_at") or 0),
            is_draft=ours and state == "cancelled" and not job.get("started_at"),
        )


@dataclass(frozen=True)
class Job:
    """
    Attributes:
        state: the status; `held` for one that waits to be started, `pausing` and `cancelling`
            for one that was asked to.
        problem: why it failed, in the server's words; may have several lines.
        tuned: id of the model that came of it.
        corpus, plan: what validation found; empty before.
        preset: the shipped recipe that it follows. request: the body that it was made with.
        ends_at: expected, Unix seconds.
    """

    id: str
    name: str
    model: str
    state: str
    step: int = 0
    steps: int | None = None
    attempt: int = 0
    tuned: str = ""
    problem: str = ""
    problem_code: str = ""
    started_at: int | None = None
    finished_at: int | None = None
    ends_at: int | None = None
    files: tuple[str, ...] = ()
    preset: str = ""
    request: Tree = field(default_factory=dict)
    hyperparameters: Tree = field(default_factory=dict)
    corpus: Tree = field(default_factory=dict)
    plan: Tree = field(default_factory=dict)

    @classmethod
    def parse(cls, detail: Tree) -> Job:
        job: Tree = detail["job"]
        progress: Tree = detail.get("progress") or {}
        error: Tree = job.get("error") or {}
        return cls(
            id=str(job["id"]),
            name=name_of(job),
            model=str(job.get("model") or ""),
            state=_state(job, str(detail.get("wish") or "")),
            step=int(progress.get("step") or 0),
            steps=progress.get("steps"),
            attempt=int(progress.get("attempt") or 0),
            tuned=str(job.get("fine_tuned_model") or ""),
            problem=str(error.get("message") or ""),
            problem_code=str(error.get("code") or ""),
            started_at=job.get("started_at"),
            finished_at=job.get("finished_at"),
            ends_at=job.get("estimated_finish"),
            files=tuple(map(str, detail.get("files") or ())),
            preset=str(detail.get("preset") or ""),
            request=detail.get("request") or {},
            hyperparameters=job.get("hyperparameters") or {},
            corpus=detail.get("corpus") or {},
            plan=detail.get("plan") or {},
        )

    @property
    def moves(self) -> bool:
        """It changes by itself."""
        return self.state in MOVING

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    @property
    def takes_settings(self) -> bool:
        """It can be planned anew: nothing has been trained yet, or nothing came of it."""
        return self.state in ("validating_files", "held", "failed", "cancelled")

    @property
    def mark(self) -> tuple[object, ...]:
        """Changes whenever there is something new to see of it."""
        return self.state, self.step, self.attempt


def name_of(job: Tree) -> str:
    """What a person calls it."""
    return str(job.get("user_provided_suffix") or "") or text.UNNAMED.format(id=str(job["id"])[-4:])


def _state(job: Tree, wish: str = "") -> str:
    status = str(job["status"])
    if status in ENDED:
        return status
    if wish in ("pause", "cancel") and status == "running":
        return "pausing" if wish == "pause" else "cancelling"
    if status == "paused" and not job.get("started_at"):
        return "held"
    return status
