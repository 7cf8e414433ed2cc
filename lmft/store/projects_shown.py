"""Projects on the terminal."""

from __future__ import annotations

from dataclasses import replace

from rich.console import Console
from rich.table import Table

from lmft.store.database import open_store
from lmft.store.projects import ProjectLimits, Projects
from lmft.store.quotas import usage

_GIB = 2**30


def limits(
    disk_gib: float | None, active_jobs: int | None, training_tokens_per_day: int | None
) -> ProjectLimits:
    disk_bytes = None if disk_gib is None else round(disk_gib * _GIB)
    return ProjectLimits(disk_bytes, active_jobs, training_tokens_per_day)


def create(name: str, limits: ProjectLimits, console: Console) -> None:
    project = Projects(open_store()).create(name, limits)
    console.print(f"Project {project.name}: {_words(project.limits)}.", highlight=False)
    console.print(f"Make a key of it: lmft keys create NAME --project {name}", highlight=False)


def set_limits(
    name: str,
    disk_gib: float | None,
    active_jobs: int | None,
    training_tokens_per_day: int | None,
    console: Console,
) -> None:
    """Args: the limits: None leaves one as it is, 0 takes it away."""
    projects = Projects(open_store())
    given = vars(limits(disk_gib, active_jobs, training_tokens_per_day))
    changes = {what: value or None for what, value in given.items() if value is not None}
    project = projects.set_limits(name, replace(projects.get(name).limits, **changes))
    console.print(f"Project {project.name}: {_words(project.limits)}.", highlight=False)


def list_shown(console: Console) -> None:
    store = open_store()
    table = Table(box=None, pad_edge=False)
    for title in ("name", "files", "active jobs", "tokens in 24 h"):
        table.add_column(title, no_wrap=title == "name", overflow="fold")
    projects = Projects(store).all()
    with store.reading() as connection:
        for project in projects:
            used, may = usage(connection, project.id), project.limits
            table.add_row(
                project.name,
                _of(f"{used.disk_bytes / _GIB:.3f}", may.disk_bytes and may.disk_bytes / _GIB)
                + " GiB",
                _of(str(used.active_jobs), may.active_jobs),
                _of(f"{used.training_tokens:,}", may.training_tokens_per_day),
            )
    console.print(table)


def _of(used: str, most: float | None) -> str:
    return used if most is None else f"{used} of {most:,}"


def _words(limits: ProjectLimits) -> str:
    words = {
        "GiB of files": limits.disk_bytes and limits.disk_bytes / _GIB,
        "active jobs": limits.active_jobs,
        "training tokens in 24 hours": limits.training_tokens_per_day,
    }
    return ", ".join(f"{value:,} {what}" for what, value in words.items() if value) or "no limits"
