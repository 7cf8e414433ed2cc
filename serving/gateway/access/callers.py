"""Who asks: what a key may do, and what each route asks of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from fastapi import Request

from lmft.errors import LmftError
from lmft.ids import parse_adapter_id
from lmft.store.keys import Key, Limits
from lmft.store.tables import SCOPES
from serving.pool.catalog import unknown


class ForbiddenError(LmftError):
    """The key is right, and not for this."""

    code = "insufficient_scope"


@dataclass(frozen=True)
class Caller:
    """Attributes:
    key_id: of the store; None for LMFT_API_KEY, the pages, and a server without keys.
    models: ids and aliases it is limited to; empty for all. An alias stands for its versions.
    """

    key_id: str | None
    name: str
    scopes: frozenset[str] = frozenset(SCOPES)
    models: frozenset[str] = frozenset()
    limits: Limits = field(default_factory=Limits)

    @classmethod
    def of(cls, key: Key) -> Caller:
        return cls(key.public_id, key.name, key.scopes, key.models, key.limits)

    def require(self, scope: str) -> None:
        """Raises ForbiddenError (403)."""
        if scope not in self.scopes:
            raise ForbiddenError(
                f"This key lacks the scope {scope}.",
                f"Make one that has it: `lmft keys create NAME --scope {scope}`.",
            )

    def may_use(self, model: str) -> bool:
        if not self.models or model in self.models:
            return True
        version = parse_adapter_id(model)
        return version is not None and version.alias in self.models

    def require_model(self, model: str) -> None:
        """Raises NotFoundError (404), in the words for a model that there is not: a key that is
        limited to some models learns nothing of the others, not even their names."""
        if not self.may_use(model):
            raise unknown(model)


# Whoever reaches a server that has no keys: loopback only.
ANYONE = Caller(None, "anyone")


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
    if path == "/v1/models" or path.startswith("/v1/models/"):
        return "models:read" if method in ("GET", "HEAD", "OPTIONS") else "models:write"
    return "inference"
