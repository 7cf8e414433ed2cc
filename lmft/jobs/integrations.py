"""Weights & Biases, where a job asks for it: what its trainer finds in the environment."""

from __future__ import annotations

import os

from lmft.jobs.job import Job

_FIELDS = {"project": "WANDB_PROJECT", "entity": "WANDB_ENTITY", "name": "WANDB_NAME"}
# Where it sends to and who it is, of whoever runs the service; the rest is each job's own.
_ACCOUNT = ("WANDB_API_KEY", "WANDB_BASE_URL", "WANDB_MODE")


def environment_of(job: Job) -> dict[str, str]:
    """Nothing for a job without the integration, whatever this process has."""
    found: dict[str, str] = {}
    for one in job.integrations:
        if one.get("type") != "wandb":
            continue
        settings = one.get("wandb") or {}
        found |= {name: os.environ[name] for name in _ACCOUNT if name in os.environ}
        # Every attempt goes on with one run there.
        found |= {"WANDB_RUN_ID": job.id, "WANDB_RESUME": "allow", "WANDB_NAME": job.id}
        found |= {_FIELDS[key]: str(settings[key]) for key in _FIELDS if settings.get(key)}
        if tags := settings.get("tags"):
            found["WANDB_TAGS"] = ",".join(str(tag) for tag in tags)
    return found
