"""A request that is sent twice with one Idempotency-Key makes one thing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from lmft.store import idempotency


@dataclass(frozen=True)
class Asked:
    """Attributes:
    key: the Idempotency-Key; None makes a new thing each time.
    what, body: the request, to tell one from another that has the same key.
    """

    key: str | None
    what: str
    body: Mapping[str, Any]


def once(connection: Connection, project: int, asked: Asked | None, make: Callable[[], str]) -> str:
    """The id of what the request made, now or before; in the transaction of `connection`.

    Raises:
        KeyReusedError: the key came with another request. InputError: it can be none.
    """
    if asked is None or asked.key is None:
        return make()
    sha256 = idempotency.request_sha256(asked.what, asked.body)
    made = idempotency.find(connection, project, asked.key, sha256)
    if made is None:
        made = make()
        idempotency.keep(connection, project, asked.key, sha256, made)
    return made
