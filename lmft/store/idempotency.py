"""A request that is sent twice with one Idempotency-Key makes one thing.

Both functions run inside the transaction that makes the thing, so that of two requests at the
same moment the later one finds what the earlier made. A key is a project's own, for 24 hours.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from lmft.errors import InputError
from lmft.store.job_tables import idempotency as table

KEPT_SECONDS = 24 * 3600
MAX_KEY_CHARACTERS = 255


class KeyReusedError(InputError):
    """The key belongs to another request."""

    code = "idempotency_key_reused"


def request_sha256(what: str, body: Mapping[str, Any]) -> str:
    """What tells requests apart, in hex.

    Args:
        what: the kind of request (`files`, `jobs`), so that a key means one of one kind.
        body: plain JSON; the order of its keys does not matter.
    """
    text = json.dumps([what, body], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def find(connection: Connection, project: int, key: str, request_sha256: str) -> str | None:
    """The id that the request with this key made; None if it is the first.

    Raises:
        KeyReusedError: the key came with another request.
        InputError: no key at all, or one that is too long.
    """
    if not 0 < len(key) <= MAX_KEY_CHARACTERS or not key.isprintable():
        raise InputError(
            f"An Idempotency-Key has 1 to {MAX_KEY_CHARACTERS} printable characters.",
            "A random UUID is a good one.",
        )
    made = connection.execute(
        select(table.c.made, table.c.request_sha256).where(
            table.c.project == project, table.c.key == key, table.c.created_at > _oldest()
        )
    ).first()
    if made is None:
        return None
    if made.request_sha256 != request_sha256:
        raise KeyReusedError(
            "This Idempotency-Key came with another request.",
            "Use a new key for a new request, and send the same request for a second try.",
        )
    return str(made.made)


def keep(connection: Connection, project: int, key: str, request_sha256: str, made: str) -> None:
    """Remember what the request made, and forget all that is older than 24 hours."""
    connection.execute(delete(table).where(table.c.created_at <= _oldest()))
    connection.execute(
        insert(table).values(
            project=project,
            key=key,
            request_sha256=request_sha256,
            made=made,
            created_at=int(time.time()),
        )
    )


def _oldest() -> int:
    return int(time.time()) - KEPT_SECONDS
