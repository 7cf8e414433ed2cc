"""Projects: whose keys, files, jobs and stories belong together, and what they may use at most.

The first project is `me`. A project's name is the ORG part of its adapters' ids, so it is never
changed, and a project is never taken away.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update
from sqlalchemy.exc import IntegrityError

from lmft.errors import InputError, NotFoundError
from lmft.ids import slug
from lmft.store.database import Store
from lmft.store.tables import projects as table

DEFAULT_PROJECT = "me"
DEFAULT_PROJECT_ID = 1
_MOST = 2**53


@dataclass(frozen=True)
class ProjectLimits:
    """What one project may use at most; None is no limit.

    Attributes:
        disk_bytes: of its files and the parts of its uploads.
        active_jobs: fine-tuning jobs that have not ended.
        training_tokens_per_day: trained in 24 hours.
    """

    disk_bytes: int | None = None
    active_jobs: int | None = None
    training_tokens_per_day: int | None = None


@dataclass(frozen=True)
class Project:
    """Attributes:
    created_at: Unix seconds.
    """

    id: int
    name: str
    limits: ProjectLimits
    created_at: int


class Projects:
    """The projects of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def create(self, name: str, limits: ProjectLimits | None = None) -> Project:
        """Raises InputError: a name or limit that cannot be, or a name that is taken."""
        limits = limits or ProjectLimits()
        if slug(name) != name:
            raise InputError(
                f"{name!r} cannot be a project's name: it becomes a part of its models' ids.",
                "Use at most 64 lower case letters, digits, hyphens and underscores.",
            )
        _check(limits)
        row = {"name": name, "created_at": int(time.time()), **vars(limits)}
        with self._store.writing() as connection:
            try:
                made = connection.execute(insert(table).values(row).returning(table)).one()
            except IntegrityError as error:
                raise InputError(
                    f"There is a project named {name} already.",
                    f"Choose another name, or change its limits: `lmft projects set {name}`.",
                ) from error
            return _project(made)

    def all(self) -> list[Project]:
        """Oldest first; the first is `me`."""
        with self._store.reading() as connection:
            rows = connection.execute(select(table).order_by(table.c.id)).all()
        return [_project(row) for row in rows]

    def get(self, name: str) -> Project:
        """Raises NotFoundError."""
        with self._store.reading() as connection:
            row = connection.execute(select(table).where(table.c.name == name)).one_or_none()
        if row is None:
            raise _missing(name)
        return _project(row)

    def set_limits(self, name: str, limits: ProjectLimits) -> Project:
        """Give it these limits in place of those it has; what is over one of them stays.

        Raises:
            NotFoundError: there is no such project. InputError: a limit that cannot be.
        """
        _check(limits)
        change = update(table).where(table.c.name == name).values(**vars(limits)).returning(table)
        with self._store.writing() as connection:
            row = connection.execute(change).one_or_none()
        if row is None:
            raise _missing(name)
        return _project(row)


def numbered(connection: Connection, name: str) -> int:
    """The id of the project of that name. Raises NotFoundError."""
    found = connection.scalar(select(table.c.id).where(table.c.name == name))
    if found is None:
        raise _missing(name)
    return int(found)


def project_of(model: str) -> str | None:
    """The project in the id or alias of an adapter; None for a base, which is everybody's."""
    prefix, *parts = model.split(":")
    if prefix != "ft":
        return None
    return parts[1] if len(parts) > 1 else ""


def _check(limits: ProjectLimits) -> None:
    for what, value in vars(limits).items():
        most = 2**31 - 1 if what == "active_jobs" else _MOST
        if value is not None and not 0 < value <= most:
            raise InputError(f"{what} is {value}.", f"Give a number from 1 to {most}.")


def _missing(name: str) -> NotFoundError:
    return NotFoundError(
        f"There is no project {name[:64]!r}.", "`lmft projects list` shows what there is."
    )


def _project(row: Row[Any]) -> Project:
    limits = ProjectLimits(row.disk_bytes, row.active_jobs, row.training_tokens_per_day)
    return Project(row.id, row.name, limits, row.created_at)
