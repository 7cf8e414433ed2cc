"""Jobs, events and checkpoints as OpenAI's objects: the one form of them that any client sees.

What is stored may name paths, as the logs do. Nothing leaves here that does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lmft.ids import parse_adapter_id
from lmft.jobs.attempt import Attempt
from lmft.jobs.job import Checkpoint, Event, Job
from lmft.jobs.presets import asked_hyperparameters, preset_of
from lmft.public import without_machine

_SUPERVISED = ("n_epochs", "batch_size", "learning_rate_multiplier")
_PREFERENCE = (*_SUPERVISED, "beta")


def job_object(job: Job, project: str) -> dict[str, Any]:
    """`fine_tuning.job`. Args: project: the name of the job's."""
    known = asked_hyperparameters(job.request) | (job.resolved or {})
    values = {name: known.get(name, "auto") for name in _PREFERENCE}
    kind, names = ("supervised", _SUPERVISED) if job.method == "sft" else ("dpo", _PREFERENCE)
    return {
        "object": "fine_tuning.job",
        "id": job.id,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "estimated_finish": job.estimated_finish,
        "status": job.status,
        "error": None if job.error is None else _public(vars(job.error)),
        "model": job.model,
        "fine_tuned_model": job.fine_tuned_model,
        "user_provided_suffix": job.suffix,
        "organization_id": project,
        "training_file": job.training_file,
        "validation_file": job.validation_file,
        "result_files": [] if job.result_file is None else [job.result_file],
        "trained_tokens": job.trained_tokens,
        "seed": job.seed,
        "hyperparameters": {name: values[name] for name in _SUPERVISED},
        "method": {"type": kind, kind: {"hyperparameters": {name: values[name] for name in names}}},
        "integrations": job.integrations,
        "metadata": job.metadata,
    }


def event_object(event: Event) -> dict[str, Any]:
    """`fine_tuning.job.event`."""
    return {
        "object": "fine_tuning.job.event",
        "id": event.id,
        "created_at": event.created_at,
        "level": event.level,
        "type": event.type,
        "message": without_machine(event.message),
        "data": event.data,
    }


def checkpoint_object(checkpoint: Checkpoint, job_id: str) -> dict[str, Any]:
    """`fine_tuning.job.checkpoint`."""
    return {
        "object": "fine_tuning.job.checkpoint",
        "id": checkpoint.id,
        "created_at": checkpoint.created_at,
        "fine_tuning_job_id": job_id,
        "fine_tuned_model_checkpoint": checkpoint.model,
        "step_number": checkpoint.step,
        "metrics": {"step": checkpoint.step} | checkpoint.metrics,
    }


def page(objects: Iterable[Mapping[str, Any]], *, has_more: bool) -> dict[str, Any]:
    """OpenAI's list; the cursor of the next page is the last one's id."""
    return {"object": "list", "data": list(objects), "has_more": has_more}


def progress_object(job: Job, project: str) -> dict[str, Any]:
    """What changes of a job while it is followed."""
    return {
        "object": "lmft.job.progress",
        "job": job_object(job, project),
        "wish": job.wish,
        "progress": {"step": job.step, "steps": job.steps, "attempt": job.attempt},
    }


def detail_object(
    job: Job, project: str, report: Mapping[str, Any] | None, attempts: Sequence[Attempt]
) -> dict[str, Any]:
    """All that is known of a job: OpenAI's object, and what it has no word for.

    Args:
        report: what validation found, `corpus` and `plan`; None until it is through.
    """
    found = report or {}
    return progress_object(job, project) | {
        "object": "lmft.job",
        "method": job.method,
        "adapter": job.adapter,
        "files": list(job.files),
        "preset": preset_of(job, _found_kind(found)),
        "hold": job.hold,
        "priority": job.priority,
        # Bases may be directories of this machine.
        "recipe": job.recipe | {"base": _base(job)},
        "request": job.request,
        "corpus": _corpus(job, found.get("corpus")),
        "plan": _plan(job, found.get("plan")),
        "attempts": [_public(vars(attempt)) for attempt in attempts],
    }


def _corpus(job: Job, corpus: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The rest of it is people's text, which is shown as it is, by the names of their files."""
    tokens = (corpus or {}).get("tokens")
    if corpus is None or not tokens:
        return corpus
    return {**corpus, "tokens": {**tokens, "base": _base(job)}}


def _plan(job: Job, plan: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    if not plan:
        return plan
    named = {"base": _base(job)} if "base" in plan else {}
    return {**_public(plan), **named}


def _public(value: Any) -> Any:
    """A tree of JSON with all that it says of this machine taken out of its texts."""
    if isinstance(value, str):
        return without_machine(value)
    if isinstance(value, Mapping):
        return {key: _public(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_public(one) for one in value]
    return value


def _base(job: Job) -> str | None:
    named = parse_adapter_id(job.adapter)
    return named.base if named else None


def _found_kind(report: Mapping[str, Any]) -> Any:
    return ((report.get("corpus") or {}).get("corpus") or {}).get("kind")


def metric_object(event: Event) -> dict[str, Any]:
    """A row of the run's metrics, with the event that brought it."""
    return {"id": event.id, "created_at": event.created_at, **(event.data or {})}


def sample_object(event: Event) -> dict[str, Any]:
    """What the model wrote, with the event that brought it."""
    sample = (event.data or {}).get("sample") or {}
    return {"id": event.id, "created_at": event.created_at, **sample}
