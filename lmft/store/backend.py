"""What the store needs of a database, SQLite or PostgreSQL; see database.py for the promises."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from lmft.errors import LmftError

# How long a transaction waits for its turn.
BUSY_SECONDS = 5


@dataclass(frozen=True)
class Backend:
    """Attributes:
    name: what messages call it; never a password.
    reading: its transactions see one moment of the database.
    writing: its transactions are alone from their start. Both share one pool of connections.
    alone: held while the database is made or migrated, before any transaction.
    in_words: what a driver's error means for a person.
    """

    name: str
    reading: Engine
    writing: Engine
    alone: Callable[[], AbstractContextManager[None]]
    in_words: Callable[[DBAPIError], LmftError]
