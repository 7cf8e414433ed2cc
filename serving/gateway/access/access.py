"""Who may come in, how many at once, how much at a time: what the server is told about it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from lmft.errors import UserError
from lmft.processes import PARENT_KEY_VARIABLE
from lmft.store.database import open_store, store_exists
from lmft.store.keys import Keys
from serving.gateway.access.admission import Admission, Room, default_room
from serving.gateway.access.guard import is_loopback
from serving.gateway.access.keyring import Keyring
from serving.gateway.access.limits import DEFAULT_MAX_BODY_BYTES


@dataclass(frozen=True)
class Access:
    """Attributes:
    pages_key: what the pages of this server, and a command that started it, send to its API.
    pages_login: the pages ask for LMFT_API_KEY themselves; otherwise the guard asks for a key.
    """

    keyring: Keyring
    admission: Admission
    max_body_bytes: int
    pages_key: str
    pages_login: bool


def require_key_beyond_loopback(host: str) -> None:
    """Raises UserError before `host` is bound where anybody could then use the models."""
    if is_loopback(host) or os.environ.get("LMFT_API_KEY"):
        return
    # A command that is refused leaves no database behind.
    if store_exists():
        store = open_store()
        valid = Keys(store).valid()
        store.close()
        if valid:
            return
    raise UserError(
        f"Refusing to listen on {host} without a key.",
        "Set LMFT_API_KEY, create a key with `lmft keys create NAME`, or stay on 127.0.0.1.",
    )


def access_to(keys: Keys, settings: Mapping[str, str] = os.environ) -> Access:
    """What the environment says; docs/security.md names it.

    Raises:
        UserError: a setting that is no number.
    """
    api_key = settings.get("LMFT_API_KEY") or None
    room = default_room()
    room = Room(
        running=_number(settings, "LMFT_MAX_RUNNING", room.running, least=1),
        waiting=_number(settings, "LMFT_MAX_WAITING", room.waiting, least=0),
    )
    pages_key = api_key or settings.get(PARENT_KEY_VARIABLE) or secrets.token_urlsafe(32)
    return Access(
        Keyring(keys, api_key, None if api_key else pages_key),
        Admission(room),
        _number(settings, "LMFT_MAX_BODY_BYTES", DEFAULT_MAX_BODY_BYTES, least=1),
        pages_key,
        pages_login=api_key is not None,
    )


def _number(settings: Mapping[str, str], name: str, default: int, *, least: int) -> int:
    given = settings.get(name)
    if not given:
        return default
    if not given.isascii() or not given.isdigit() or int(given) < least:
        raise UserError(f"{name} is {given!r}.", f"Give a whole number from {least}.")
    return int(given)
