"""`lmft plan`: the plan of a run as a table, as JSON, and as the first lines of `lmft train`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table

from lmft import paths
from lmft.device.memory import available
from lmft.train.planning.estimate import Estimate, estimate
from lmft.train.prepare import Job, prepare
from lmft.train.recipe import Recipe
from lmft.train.servable import in_words, service_of

_LEAST_KWH = 0.001


def show_plan(recipe: Recipe, console: Console, *, json_only: bool) -> None:
    """Plan, load the model, time a few passes, and say what training will take.

    Where others have the memory for that, and only a training would make them give it up, the
    time is an estimate.

    Raises:
        UserError: whatever is wrong with recipe, data or base.
        MachineError: neither memory nor disk for it; says what would fit.
    """
    job = prepare(recipe)
    _require_disk(job, estimate(job))
    speed = None
    if not (job.plan.alone and available(job.plan.device).taken):
        with console.status("  loading the model and timing a few passes"):
            from lmft.train.environment import prepare_libraries

            prepare_libraries()
            from lmft.train.planning.probe import probe_job

            speed = probe_job(job)
    expected = estimate(job, speed)
    if json_only:
        print(json.dumps(plan_tree(job, speed), indent=2))
        return
    console.print(_table(job, expected, speed))
    for reason in job.plan.reasons:
        console.print(f"  {reason}", highlight=False)


def plan_lines(job: Job) -> Iterator[str]:
    """What `lmft train` says first: each choice, then what it will take. Loads nothing.

    Raises:
        MachineError: no disk space for it.
    """
    expected = estimate(job)
    _require_disk(job, expected)
    yield from job.plan.reasons
    yield f"to be served by {_served(job)}"
    plan = job.plan
    yield f"{_count(plan.steps, 'step')} of {plan.step_tokens:,} tokens"
    yield f"memory {_memory_line(job)}, {_size(expected.disk.total)} of disk"


def measured_line(job: Job, tokens_per_second: float) -> str:
    """What `lmft train` says of time and energy, as soon as the model is there to be timed.

    Args: job: with the steps that are still to be done in its plan.
    """
    expected = estimate(job, tokens_per_second)
    return (
        f"measured {tokens_per_second:,.0f} tokens/s: about {_duration(expected.seconds)} for "
        f"{_count(job.plan.steps, 'step')}, {_energy_line(job, expected)}"
    )


def _served(job: Job) -> str:
    return in_words(service_of(job.base.architecture, job.base.name))


def _require_disk(job: Job, expected: Estimate) -> None:
    paths.require_free(paths.home(), expected.disk.total, "This run")


def _table(job: Job, expected: Estimate, speed: float | None) -> Table:
    plan, memory, disk = job.plan, job.plan.memory, expected.disk
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column()
    rows = [("base", f"{job.base.name}, {job.base.n_parameters / 1e6:.1f}M parameters")]
    if memory is not None:
        rows += [
            ("libraries", _size(memory.process)),
            ("model", _size(memory.model)),
            ("LoRA and optimizer", _size(memory.optimizer)),
            ("activations", _size(memory.activations)),
            ("peak memory", _memory_line(job)),
        ]
    learnt = job.blocks.n_trained_tokens
    kept = disk.adapter + disk.checkpoints
    rows += [
        ("text", f"{learnt:,} tokens to learn, in {len(job.blocks.ids_NT):,} blocks"),
        ("training", f"{_count(plan.steps, 'step')} of {plan.step_tokens:,} tokens"),
        (
            "speed",
            "not measured: a server or another training has the memory"
            if speed is None
            else f"{speed:,.0f} tokens/s, measured",
        ),
        ("time", _duration(expected.seconds)),
        (
            "disk",
            f"{_size(disk.total)} of {_size(paths.free_bytes(paths.home()))} free: adapter and "
            f"checkpoints {_size(kept)}, served base {_size(disk.variant)}"
            + (f", merged model {_size(disk.merged)}" if disk.merged else ""),
        ),
        ("served by", _served(job)),
        ("energy", f"{_energy_line(job, expected)} (assuming {expected.power.assumption})"),
    ]
    for row in rows:
        table.add_row(*row)
    return table


def plan_tree(job: Job, speed: float | None = None) -> dict[str, Any]:
    """The plan for machines. Args: speed: tokens a second, where it was measured."""
    plan, memory, expected = job.plan, job.plan.memory, estimate(job, speed)
    settings = (
        *("device", "compute_dtype", "quantization", "block_tokens", "batch_blocks"),
        *("micro_blocks", "accumulation", "activation_checkpointing", "keep_dequantised"),
        *("compile", "steps", "tokens"),
    )
    return {
        "base": job.base.name,
        "service": service_of(job.base.architecture, job.base.name),
        "plan": {name: getattr(plan, name) for name in settings},
        "reasons": list(plan.reasons),
        "memory_bytes": None
        if memory is None
        else {
            **{name: value for name, value in vars(memory).items() if name != "loading"},
            "peak": memory.peak,
            "free": plan.free_bytes,
        },
        "tokens_per_second": None if speed is None else round(speed, 1),
        "seconds": round(expected.seconds, 1),
        "disk_bytes": {**vars(expected.disk), "total": expected.disk.total},
        "energy": {
            "kwh": round(expected.kwh, 6),
            "watts": expected.power.watts,
            "assumption": expected.power.assumption,
            "cost": None if expected.cost is None else round(expected.cost, 4),
            "currency": job.recipe.energy.currency,
        },
    }


def _memory_line(job: Job) -> str:
    memory, free = job.plan.memory, job.plan.free_bytes
    if memory is None:
        return "not known"
    said = _size(memory.peak)
    return f"{said} of {_size(free)} free" if free else said


def _energy_line(job: Job, expected: Estimate) -> str:
    kwh = f"about {expected.kwh:.2g}" if expected.kwh >= _LEAST_KWH else f"under {_LEAST_KWH}"
    said = f"{kwh} kWh at {expected.power.watts} W"
    if expected.cost is None:
        return said
    return f"{said}, {expected.cost:.2f} {job.recipe.energy.currency}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.0f} MB"


def _duration(seconds: float) -> str:
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{max(1, round(seconds))} s"
