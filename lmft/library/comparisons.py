"""A prompt and two or more answers to it, to be judged; never changed once made.

A blind one hides which model wrote what until somebody has voted, and its answers stand in an
order that was drawn.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, insert, select, update

from lmft.library.kinds import COMPARISON
from lmft.library.listing import Page, Window, read_page
from lmft.library.once import Asked, once
from lmft.library.texts import Messages
from lmft.store.database import Store
from lmft.store.library_tables import answers, comparisons, inbox, votes


@dataclass(frozen=True)
class Answer:
    """Attributes: adapter: fingerprint of the weights. sampler: with the seed; plain JSON."""

    text: str
    model: str
    adapter: str | None = None
    sampler: Mapping[str, Any] | None = None
    finish_reason: str | None = None


@dataclass(frozen=True)
class Comparison:
    """Attributes:
    context: messages before the prompt. voted: somebody has.
    """

    number: int
    id: str
    prompt: str
    context: Messages
    blind: bool
    voted: bool
    answers: tuple[Answer, ...]
    created_at: int

    @property
    def hidden(self) -> bool:
        """Nobody is to know yet which model wrote what."""
        return self.blind and not self.voted


class Comparisons:
    """The comparisons of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def create(
        self,
        project: int,
        prompt: str,
        given: Sequence[Answer],
        *,
        context: Messages | None = None,
        blind: bool = False,
        asked: Asked | None = None,
    ) -> Comparison:
        ordered = list(given)
        if blind:
            random.SystemRandom().shuffle(ordered)

        def make() -> str:
            row = {
                "id": COMPARISON.mint(),
                "project": project,
                "prompt": prompt,
                "context": json.dumps(context or []),
                "blind": int(blind),
                "created_at": int(time.time()),
            }
            made = insert(comparisons).values(row).returning(comparisons.c.number)
            number = connection.execute(made).scalar_one()
            for place, answer in enumerate(ordered):
                sampler = None if answer.sampler is None else json.dumps(answer.sampler)
                row_of = vars(answer) | {"sampler": sampler, "place": place}
                connection.execute(insert(answers).values(comparison=number, **row_of))
            return str(row["id"])

        with self._store.writing() as connection:
            id = once(connection, project, asked, make)
            return find_comparison(connection, project, id)

    def get(self, project: int, id: str) -> Comparison:
        """Raises MissingError."""
        with self._store.reading() as connection:
            return find_comparison(connection, project, id)

    def list(self, project: int, window: Window) -> Page[Comparison]:
        """Raises MissingError: no comparison `after`."""
        query = _comparisons().where(comparisons.c.deleted_at.is_(None))
        mine = comparisons.c.project == project
        with self._store.reading() as connection:
            page = read_page(connection, query, window, COMPARISON, [comparisons.c.number], mine)
            return Page(_with_answers(connection, page.items), page.has_more)

    def delete(self, project: int, id: str) -> None:
        """With its votes, and what of them is in the inbox.

        Raises:
            MissingError.
        """
        with self._store.writing() as connection:
            found = find_comparison(connection, project, id)
            of = select(votes.c.number).where(votes.c.comparison == found.number)
            connection.execute(delete(inbox).where(inbox.c.vote.in_(of)))
            gone = update(comparisons).where(comparisons.c.number == found.number)
            connection.execute(gone.values(deleted_at=int(time.time())))


def find_comparison(connection: Connection, project: int, id: str) -> Comparison:
    """Raises MissingError: no such comparison, or another project's."""
    query = _comparisons().where(
        comparisons.c.id == COMPARISON.checked(id),
        comparisons.c.project == project,
        comparisons.c.deleted_at.is_(None),
    )
    found = _with_answers(connection, connection.execute(query).all())
    if not found:
        raise COMPARISON.missing(id)
    return found[0]


def _comparisons() -> Select[Any]:
    any_vote = select(votes.c.number).where(votes.c.comparison == comparisons.c.number)
    return select(comparisons, any_vote.exists().label("voted"))


def _with_answers(connection: Connection, rows: Sequence[Row[Any]]) -> list[Comparison]:
    if not rows:
        return []
    of: dict[int, list[Answer]] = {row.number: [] for row in rows}
    query = select(answers).where(answers.c.comparison.in_(of))
    for row in connection.execute(query.order_by(answers.c.comparison, answers.c.place)):
        sampler = json.loads(row.sampler) if row.sampler else None
        answer = Answer(row.text, row.model, row.adapter, sampler, row.finish_reason)
        of[row.comparison].append(answer)
    return [
        Comparison(
            number=row.number,
            id=row.id,
            prompt=row.prompt,
            context=json.loads(row.context),
            blind=bool(row.blind),
            voted=bool(row.voted),
            answers=tuple(of[row.number]),
            created_at=row.created_at,
        )
        for row in rows
    ]
