"""One page of a list, by the id of the last object of the page before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Column, ColumnElement, Connection, Row, Select, select, tuple_

from lmft.library.kinds import Kind

T = TypeVar("T")


@dataclass(frozen=True)
class Window:
    """Which page. Attributes: after: id of the last object of the page before."""

    after: str | None = None
    limit: int = 20
    newest_first: bool = True


@dataclass(frozen=True)
class Page(Generic[T]):
    items: Sequence[T]
    has_more: bool


def read_page(
    connection: Connection,
    query: Select[Any],
    window: Window,
    kind: Kind,
    keys: Sequence[Column[Any]],
    *of: ColumnElement[bool],
) -> Page[Row[Any]]:
    """The rows of `query` that `of` holds for, in the order of `keys`.

    Args:
        keys: columns of one table with an `id`; the last of them tells all rows apart.
        of: whose list it is. What else `query` filters does not matter to a cursor, so that a
            page can follow one whose last object is gone since.

    Raises:
        MissingError: no object `after` in that list.
    """
    rows = query.where(*of).limit(window.limit + 1)
    if window.after is not None:
        id = kind.checked(window.after)
        found = select(*keys).where(keys[0].table.c.id == id, *of)
        place = connection.execute(found).one_or_none()
        if place is None:
            raise kind.missing(id)
        here: Any = tuple_(*keys) if len(keys) > 1 else keys[0]
        there: Any = tuple_(*place) if len(keys) > 1 else place[0]
        rows = rows.where(here < there if window.newest_first else here > there)
    order = [key.desc() if window.newest_first else key.asc() for key in keys]
    found_rows = connection.execute(rows.order_by(*order)).all()
    return Page(found_rows[: window.limit], len(found_rows) > window.limit)
