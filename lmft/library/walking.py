"""From a story's beginning to one of its turns."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, Select, literal, select

from lmft.store.library_tables import turns


def way_to(turn: int, *, most: int | None = None) -> Select[Any]:
    """Numbers of the turns on the way from the beginning to the one with that number.

    Args:
        most: only so many, the last ones.
    """
    columns = turns.c.number, turns.c.parent
    end = select(*columns, literal(1).label("far")).where(turns.c.number == turn)
    way = end.cte("way", recursive=True)
    above = select(*columns, way.c.far + 1).where(turns.c.number == way.c.parent)
    way = way.union_all(above if most is None else above.where(way.c.far < most))
    return select(way.c.number)


def turns_to(connection: Connection, turn: int) -> list[Row[Any]]:
    """The turns on the way to that one, the beginning first."""
    # A parent has the lower number.
    found = select(turns).where(turns.c.number.in_(way_to(turn))).order_by(turns.c.number)
    return list(connection.execute(found).all())
