"""Jobs, their events and checkpoints as the OpenAPI document describes them; lmft.jobs.objects
builds them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

from serving.gateway.schemas.objects import Object


class JobFault(Object):
    code: str
    message: str
    param: str | None


class ShownHyperparameters(Object):
    n_epochs: float | Literal["auto"]
    batch_size: int | Literal["auto"]
    learning_rate_multiplier: float | Literal["auto"]


class ShownPreferenceHyperparameters(ShownHyperparameters):
    beta: float | Literal["auto"]


class ShownSupervised(Object):
    hyperparameters: ShownHyperparameters


class ShownDpo(Object):
    hyperparameters: ShownPreferenceHyperparameters


class ShownMethod(Object):
    type: Literal["supervised", "dpo"]
    supervised: ShownSupervised | None = None
    dpo: ShownDpo | None = None


class FineTuningJob(Object):
    object: Literal["fine_tuning.job"]
    id: str
    created_at: int
    started_at: int | None
    finished_at: int | None
    estimated_finish: int | None
    status: Literal[
        "validating_files", "queued", "running", "paused", "succeeded", "failed", "cancelled"
    ]
    error: JobFault | None
    model: str
    fine_tuned_model: str | None
    user_provided_suffix: str | None
    organization_id: str
    training_file: str
    validation_file: str | None
    result_files: list[str]
    trained_tokens: int | None
    seed: int
    hyperparameters: ShownHyperparameters
    method: ShownMethod
    integrations: list[dict[str, Any]]
    metadata: dict[str, str]


class FineTuningEvent(Object):
    object: Literal["fine_tuning.job.event"]
    id: str
    created_at: int
    level: Literal["info", "warn", "error"]
    type: Literal["message", "metrics"]
    message: str
    data: dict[str, Any] | None


class FineTuningCheckpoint(Object):
    object: Literal["fine_tuning.job.checkpoint"]
    id: str
    created_at: int
    fine_tuning_job_id: str
    fine_tuned_model_checkpoint: str
    step_number: int
    metrics: dict[str, Any]


class Page(Object):
    object: Literal["list"]
    has_more: bool


class FineTuningJobs(Page):
    data: list[FineTuningJob]


class FineTuningEvents(Page):
    data: list[FineTuningEvent]


class FineTuningCheckpoints(Page):
    data: list[FineTuningCheckpoint]


class Rows(Page):
    """Rows of metrics, or samples: each with the id and time of the event that brought it."""

    data: list[dict[str, Any]]


class Progress(Object):
    step: int
    steps: int | None
    attempt: int


class JobProgress(Object):
    object: Literal["lmft.job.progress"]
    job: FineTuningJob
    wish: Literal["", "pause", "cancel"]
    progress: Progress


class JobNews(BaseModel):
    """Of a stream: the event `job` has a JobProgress, the event `event` a FineTuningEvent."""

    object: Literal["lmft.job.progress", "fine_tuning.job.event"]


class AttemptShown(Object):
    attempt: int
    worker: str
    step: int | None
    started_at: int
    ended_at: int | None
    outcome: Literal["done", "failed", "paused", "cancelled", "stopped", "lost"] | None
    detail: str


class JobDetail(Object):
    object: Literal["lmft.job"]
    job: FineTuningJob
    wish: Literal["", "pause", "cancel"]
    progress: Progress
    method: Literal["sft", "dpo", "kto"]
    adapter: str
    files: list[str]
    preset: str
    hold: bool
    priority: int
    recipe: dict[str, Any]
    request: dict[str, Any]
    corpus: dict[str, Any] | None
    plan: dict[str, Any] | None
    attempts: list[AttemptShown]


class ShippedRecipe(Object):
    id: str
    title: str
    description: str
    base: str
    kind: Literal["story", "adventure", "chat"]
    method: Literal["sft", "dpo", "kto"]
    text: str
    recipe: dict[str, Any]


class ShippedRecipes(Object):
    object: Literal["list"]
    data: list[ShippedRecipe]
    bases: list[str]
