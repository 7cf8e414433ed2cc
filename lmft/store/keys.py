"""API keys: shown once, kept as a hash, with scopes, models and limits of their own.

A key is 256 random bits, so a plain sha256 keeps it safe (a slow hash is for what people make
up), and finding it by its hash tells nobody anything through timing.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Table, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from lmft.errors import InputError, NotFoundError
from lmft.store.database import Store
from lmft.store.key_rules import check
from lmft.store.projects import DEFAULT_PROJECT, numbered
from lmft.store.tables import key_models, key_scopes, projects
from lmft.store.tables import keys as table

DEFAULT_SCOPES = ("inference", "models:read")
PREFIX = "lmft-"
_BITS = 256
_ENDING = 4


@dataclass(frozen=True)
class Limits:
    """What one key may use at most; None is no limit of its own.

    Attributes:
        tokens_per_minute: of prompts and answers together.
        concurrent: requests that are answered at the same time.
        active_jobs: fine-tuning jobs that have not ended. jobs_per_day: made in 24 hours.
    """

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent: int | None = None
    active_jobs: int | None = None
    jobs_per_day: int | None = None


@dataclass(frozen=True)
class Key:
    """What may be known of a key: all but the key.

    Attributes:
        ending: its last characters, to tell keys apart.
        models: ids and aliases it is limited to; empty for all models of its project.
        created_at, revoked_at: Unix seconds.
    """

    id: int
    name: str
    project_id: int
    project: str
    sha256: str
    ending: str
    scopes: frozenset[str]
    models: frozenset[str]
    limits: Limits
    created_at: int
    revoked_at: int | None

    @property
    def public_id(self) -> str:
        """What logs call it; a name can be used again."""
        return f"key-{self.id}"


def fingerprint(key: str | bytes) -> str:
    """What is kept of a key, in hex."""
    raw = key.encode() if isinstance(key, str) else key
    return hashlib.sha256(raw).hexdigest()


class Keys:
    """The keys of a store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def create(
        self,
        name: str,
        scopes: Collection[str] = DEFAULT_SCOPES,
        models: Collection[str] = (),
        limits: Limits | None = None,
        project: str = DEFAULT_PROJECT,
    ) -> tuple[Key, str]:
        """A new key: what may be known of it, and the key itself, which nobody can read again.

        Raises:
            InputError: a name, scope, model or limit that cannot be, or a name that is taken.
            NotFoundError: there is no such project.
        """
        limits = limits or Limits()
        check(name, scopes, models, vars(limits), project)
        secret = PREFIX + secrets.token_urlsafe(_BITS // 8)
        row: dict[str, Any] = {
            "name": name,
            "sha256": fingerprint(secret),
            "ending": secret[-_ENDING:],
            "created_at": int(time.time()),
            **vars(limits),
        }
        with self.store.writing() as connection:
            row["project"] = numbered(connection, project)
            try:
                made = connection.execute(insert(table).values(row).returning(table.c.id))
                number = made.scalar_one()
            except IntegrityError as error:
                raise InputError(
                    f"There is a key named {name} already.",
                    f"Choose another name, or `lmft keys revoke {name}` first.",
                ) from error
            for scope in sorted(set(scopes)):
                connection.execute(insert(key_scopes).values(key=number, scope=scope))
            for model in sorted(set(models)):
                connection.execute(insert(key_models).values(key=number, model=model))
            return _read(connection, table.c.id == number)[0], secret

    def all(self) -> list[Key]:
        """All keys there ever were, oldest first."""
        with self.store.reading() as connection:
            return _read(connection)

    def valid(self) -> list[Key]:
        """Those that are not revoked."""
        with self.store.reading() as connection:
            return _read(connection, table.c.revoked_at.is_(None))

    def mark(self) -> tuple[int, int]:
        """A value that changes whenever a key is made or revoked; (0, 0) as long as there never
        was one. Cheap, to be asked often."""
        with self.store.reading() as connection:
            newest, revoked = connection.execute(
                select(func.coalesce(func.max(table.c.id), 0), func.count(table.c.revoked_at))
            ).one()
            return int(newest), int(revoked)

    def revoke(self, name: str) -> Key:
        """Make the valid key of that name worthless, for good.

        Raises:
            NotFoundError: no valid key has that name.
        """
        with self.store.writing() as connection:
            found = _read(connection, table.c.name == name, table.c.revoked_at.is_(None))
            if not found:
                raise NotFoundError(
                    f"No valid key is named {name}.", "`lmft keys list` shows what there is."
                )
            number = found[0].id
            connection.execute(
                update(table).where(table.c.id == number).values(revoked_at=int(time.time()))
            )
            return _read(connection, table.c.id == number)[0]


def _read(connection: Connection, *where: Any) -> list[Key]:
    chosen = select(table, projects.c.name.label("project_name")).join(projects)
    rows = connection.execute(chosen.where(*where).order_by(table.c.id)).all()
    scopes = _many(connection, key_scopes, "scope", *where)
    models = _many(connection, key_models, "model", *where)
    return [_key(row, scopes.get(row.id, []), models.get(row.id, [])) for row in rows]


def _many(connection: Connection, of: Table, column: str, *where: Any) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    chosen = select(of.c.key, of.c[column]).join(table, table.c.id == of.c.key).where(*where)
    for key, value in connection.execute(chosen):
        found.setdefault(key, []).append(value)
    return found


def _key(row: Row[Any], scopes: Collection[str], models: Collection[str]) -> Key:
    return Key(
        id=row.id,
        name=row.name,
        project_id=row.project,
        project=row.project_name,
        sha256=row.sha256,
        ending=row.ending,
        scopes=frozenset(scopes),
        models=frozenset(models),
        limits=Limits(**{name: getattr(row, name) for name in vars(Limits())}),
        created_at=row.created_at,
        revoked_at=row.revoked_at,
    )
