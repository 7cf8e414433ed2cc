"""A fine-tuning job, its events and checkpoints, as values; and how they are read from rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import Row

from lmft.jobs.states import ENDED, Status, Wish
from lmft.object_ids import mint_id

Level = Literal["info", "warn", "error"]


@dataclass(frozen=True)
class JobError:
    """Why a job failed, in OpenAI's words. Attributes: param: the field at fault, if it is one."""

    code: str
    message: str
    param: str | None = None


@dataclass(frozen=True)
class NewJob:
    """What a job is and stays.

    Attributes:
        key: number of the key that asked, None without one.
        hold: once validated it pauses instead of being queued.
        model: as it was asked for: a base, or an `ft:` id that training goes on from.
        adapter: the id that it will be published under; minted beforehand, so that every attempt
            finds what the one before has done.
        files: all that is compiled together, the training file first.
        request: the body as it was sent. recipe: the tree that it came to, without `data`.
    """

    project_id: int
    key: int | None
    method: Literal["sft", "dpo", "kto"]
    model: str
    seed: int
    adapter: str
    files: tuple[str, ...]
    request: Mapping[str, Any]
    recipe: Mapping[str, Any]
    suffix: str | None = None
    validation_file: str | None = None
    integrations: tuple[Mapping[str, Any], ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    hold: bool = False
    priority: int = 0


@dataclass(frozen=True)
class Job:
    """A row; see NewJob for what it stays.

    Attributes:
        number: order of creation.
        attempt: of the newest one; what an older one says is refused.
        step, steps: of training; None before it is planned.
        resolved: the hyperparameters, once `auto` has become a number.
        created_at, started_at, finished_at, estimated_finish: Unix seconds.
    """

    number: int
    id: str
    project_id: int
    key: int | None
    status: Status
    wish: Wish
    hold: bool
    priority: int
    method: Literal["sft", "dpo", "kto"]
    model: str
    suffix: str | None
    seed: int
    adapter: str
    files: tuple[str, ...]
    training_file: str
    validation_file: str | None
    request: dict[str, Any]
    recipe: dict[str, Any]
    integrations: list[dict[str, Any]]
    validated: bool
    resolved: dict[str, Any] | None
    attempt: int
    step: int
    steps: int | None
    trained_tokens: int | None
    estimated_finish: int | None
    fine_tuned_model: str | None
    result_file: str | None
    error: JobError | None
    created_at: int
    started_at: int | None
    finished_at: int | None
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        return self.status in ENDED


@dataclass(frozen=True)
class Event:
    """Attributes:
    number: grows with time; a cursor. data: a row of metrics, a sample, or None.
    """

    number: int
    id: str
    level: Level
    type: Literal["message", "metrics"]
    message: str
    data: dict[str, Any] | None
    created_at: int


@dataclass(frozen=True)
class Said:
    """An event that is about to be written."""

    message: str
    level: Level = "info"
    data: Mapping[str, Any] | None = None
    type: Literal["message", "metrics"] = "message"


@dataclass(frozen=True)
class Checkpoint:
    """Attributes:
    model: the id that it answers to.
    """

    number: int
    id: str
    step: int
    model: str
    metrics: dict[str, Any]
    created_at: int


def new_job_row(new: NewJob, now: int) -> dict[str, Any]:
    """The columns of a job that has just been asked for."""
    return {
        "id": mint_id("ftjob-"),
        "project": new.project_id,
        "key": new.key,
        "status": "validating_files",
        "wish": "",
        "hold": int(new.hold),
        "priority": new.priority,
        "method": new.method,
        "model": new.model,
        "suffix": new.suffix,
        "seed": new.seed,
        "adapter": new.adapter,
        "training_file": new.files[0],
        "validation_file": new.validation_file,
        "files": json.dumps(new.files),
        "request": json.dumps(new.request, ensure_ascii=False),
        "recipe": json.dumps(new.recipe, ensure_ascii=False),
        "integrations": json.dumps(new.integrations, ensure_ascii=False),
        "attempt": 0,
        "step": 0,
        "created_at": now,
    }


def job_of(row: Row[Any], metadata: dict[str, str]) -> Job:
    """Of a row with every column but `report`, and with `validated`."""
    columns = dict(row._mapping)
    code, message, param = (columns.pop(f"error_{part}") for part in ("code", "message", "param"))
    for name in ("request", "recipe", "integrations"):
        columns[name] = json.loads(columns[name])
    columns["project_id"] = columns.pop("project")
    columns["files"] = tuple(json.loads(columns["files"]))
    columns["hold"], columns["validated"] = bool(columns["hold"]), bool(columns["validated"])
    columns["resolved"] = json.loads(columns["resolved"]) if columns["resolved"] else None
    error = JobError(code, message or "", param) if code else None
    return Job(**columns, error=error, metadata=metadata)


def event_of(row: Row[Any]) -> Event:
    data = json.loads(row.data) if row.data else None
    return Event(row.number, row.id, row.level, row.type, row.message, data, row.created_at)


def checkpoint_of(row: Row[Any]) -> Checkpoint:
    metrics = json.loads(row.metrics)
    return Checkpoint(row.number, row.id, row.step, row.model, metrics, row.created_at)
