"""Who asks: what a key may do, and what each route asks of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from fastapi import Request

from lmft.errors import LmftError
from lmft.ids import parse_adapter_id
from lmft.store.keys import Key, Limits
from lmft.store.projects import DEFAULT_PROJECT, DEFAULT_PROJECT_ID, project_of
from lmft.store.tables import SCOPES
from serving.pool.catalog import unknown


class ForbiddenError(LmftError):
    """The key is right, and not for this."""

    code = "insufficient_scope"


@dataclass(frozen=True)
class Caller:
    """Attributes:
    key_id: of the store; None for LMFT_API_KEY, the pages, and a server without keys.
    models: ids and aliases it is limited to; empty for all. An alias stands for its versions, a
        version for its checkpoints.
    project_id, project: whose files, jobs and stories it sees, and where it makes new ones.
    key_number: of the store's row; None where `key_id` is.
    operator: no key of a project: it may name any project, and until it does, uses all models.
    """

    key_id: str | None
    name: str
    scopes: frozenset[str] = frozenset(SCOPES)
    models: frozenset[str] = frozenset()
    limits: Limits = field(default_factory=Limits)
    project_id: int = DEFAULT_PROJECT_ID
    project: str = DEFAULT_PROJECT
    key_number: int | None = None
    operator: bool = False

    @classmethod
    def of(cls, key: Key) -> Caller:
        return cls(
            key.public_id,
            key.name,
            key.scopes,
            key.models,
            key.limits,
            key.project_id,
            key.project,
            key.id,
        )

    def within(self, project_id: int, project: str) -> Caller:
        """The operator, acting in that project and no more in any other."""
        return replace(self, project_id=project_id, project=project, operator=False)

    def require(self, scope: str) -> None:
        """Raises ForbiddenError (403)."""
        if scope not in self.scopes:
            raise ForbiddenError(
                f"This key lacks the scope {scope}.",
                f"Make one that has it: `lmft keys create NAME --scope {scope}`.",
            )

    def may_use(self, model: str) -> bool:
        """A base, or an adapter of the caller's project, unless its key is for other models."""
        if not self.operator and project_of(model) not in (None, self.project):
            return False
        if not self.models or model in self.models:
            return True
        version = parse_adapter_id(model)
        if version is None:
            return False
        return version.alias in self.models or str(replace(version, step=None)) in self.models

    def require_model(self, model: str) -> None:
        """Raises NotFoundError (404), in the words for a model that there is not: a key that is
        limited to some models learns nothing of the others, not even their names."""
        if not self.may_use(model):
            raise unknown(model)


# Whoever reaches a server that has no keys: loopback only.
ANYONE = Caller(None, "anyone", operator=True)


def caller(request: Request) -> Caller:
    """Who sent this request; the guard has put it there."""
    found: Caller = request.scope["state"]["caller"]
    return found


def scope_of(method: str, path: str) -> str | None:
    """What a key must be for to ask this, whether there is such a route or not; None for any
    valid key."""
    if path == "/metrics":
        return "metrics"
    if path == "/v1/openapi.json":
        return None
    if _under(path, "/v1/models"):
        return "models:read" if method in ("GET", "HEAD", "OPTIONS") else "models:write"
    for scope, prefixes in _SCOPED.items():
        if any(_under(path, prefix) for prefix in prefixes):
            return scope
    return "inference"


_SCOPED = {
    "files": ("/v1/files", "/v1/uploads", "/v1/lmft/files"),
    "jobs": ("/v1/fine_tuning", "/v1/lmft/jobs", "/v1/lmft/recipes"),
    "stories": (
        "/v1/lmft/stories",
        "/v1/lmft/comparisons",
        "/v1/lmft/edits",
        "/v1/lmft/inbox",
        "/v1/lmft/presets",
    ),
}


def _under(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(f"{prefix}/")
