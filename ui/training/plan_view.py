"""The plan of a training as HTML: what it will do, take and cost, and why so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ui import text_train as text
from ui.training import marks
from ui.training.job import Job

Tree = Mapping[str, Any]

_LEAST_KWH = 0.001


def plan(job: Job) -> str:
    """Empty before it was planned."""
    if not job.plan:
        return ""
    reasons = marks.lines(map(str, job.plan.get("reasons") or ()))
    table = marks.facts(_facts(job))
    return (
        f'<div class="report" data-testid="plan">{table}{marks.folded(text.REASONS, reasons)}</div>'
    )


def autos(job: Job | None) -> dict[str, str]:
    """What `auto` has become, for the fields of the form that bear these names."""
    if job is None or not job.plan:
        return {}
    chosen: Tree = job.plan.get("recipe") or {}
    epochs = chosen.get("epochs", job.hyperparameters.get("n_epochs"))
    found = {
        "epochs": epochs if isinstance(epochs, int | float) else None,
        "rank": chosen.get("rank"),
        "rate": chosen.get("learning_rate"),
    }
    return {name: f"{value:g}" for name, value in found.items() if value is not None}


def _facts(job: Job) -> Iterator[tuple[str, str, str]]:
    tree, names = job.plan, text.PLAN_LINES
    inside: Tree = tree.get("plan") or {}
    yield names["preset"], text.PRESETS.get(job.preset, job.preset).partition(":")[0], ""
    yield names["base"], str(tree.get("base") or ""), ""
    if steps := int(inside.get("steps") or 0):
        tokens = int(inside.get("tokens") or 0)
        said = text.PLAN_WORK.format(steps=steps, tokens=tokens, step_tokens=tokens // steps)
        yield names["work"], said, ""
    if found := autos(job):
        missing = {"epochs": "?", "rank": "?", "rate": "?"}
        yield names["settings"], text.PLAN_SETTINGS.format(**(missing | found)), ""
    if seconds := tree.get("seconds"):
        device = str(inside.get("device") or "")
        time = marks.duration(float(seconds))
        said = text.PLAN_TIME.format(time=time, device=text.DEVICES.get(device, device))
        yield names["time"], said, text.PLAN_TIME_HINT
    if memory := tree.get("memory_bytes"):
        peak, free = marks.size(memory.get("peak") or 0), memory.get("free")
        words = text.PLAN_MEMORY_FREE if free else text.PLAN_MEMORY
        yield names["memory"], words.format(peak=peak, free=marks.size(free or 0)), ""
    if disk := tree.get("disk_bytes"):
        yield names["disk"], marks.size(disk.get("total") or 0), ""
    if energy := tree.get("energy"):
        kwh = float(energy.get("kwh") or 0)
        words = text.PLAN_ENERGY if kwh >= _LEAST_KWH else text.PLAN_LITTLE_ENERGY
        said = words.format(kwh=f"{kwh:.2g}", least=_LEAST_KWH, watts=energy.get("watts"))
        if (cost := energy.get("cost")) is not None:
            said += text.PLAN_COST.format(cost=cost, currency=energy.get("currency"))
        yield names["energy"], said, str(energy.get("assumption") or "")
