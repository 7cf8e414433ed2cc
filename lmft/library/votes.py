"""Which answer was better. Votes are only added: a voter's newest on a comparison counts."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Row, insert, select

from lmft.library.comparisons import find_comparison
from lmft.library.inbox import add_entry, dismiss_votes
from lmft.library.kinds import VOTE, LibraryError
from lmft.library.listing import Page, Window, read_page
from lmft.library.once import Asked, once
from lmft.store.database import Store
from lmft.store.library_tables import answers, comparisons, votes

Choice = int | Literal["tie", "bad"]


@dataclass(frozen=True)
class Vote:
    """Attributes:
    choice: place of the better answer, `tie` or `bad` (none is good). counts: it is the voter's
        newest.
    """

    id: str
    comparison: str
    voter: str
    choice: Choice
    counts: bool
    created_at: int


@dataclass(frozen=True)
class PairCount:
    """How two models stand against each other, in votes that count.

    Attributes:
        wins_a, wins_b: votes for an answer of the one or the other. ties, bad: for neither.
    """

    model_a: str
    model_b: str
    wins_a: int
    wins_b: int
    ties: int
    bad: int

    @property
    def votes(self) -> int:
        return self.wins_a + self.wins_b + self.ties + self.bad


class Votes:
    """The votes of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(
        self, project: int, comparison: str, voter: str, choice: Choice, asked: Asked | None = None
    ) -> Vote:
        """One that names an answer goes into the inbox, in the place of the voter's last.

        Raises:
            MissingError: no such comparison. LibraryError: it has no such answer.
        """
        with self._store.writing() as connection:
            found = find_comparison(connection, project, comparison)
            if isinstance(choice, int) and choice >= len(found.answers):
                raise LibraryError(
                    f"Comparison {found.id} has no answer {choice}.",
                    f"Vote for 0 to {len(found.answers) - 1}, or for tie or bad.",
                )

            def make() -> str:
                dismiss_votes(connection, found.number, voter)
                chosen = choice if isinstance(choice, int) else None
                row = {
                    "id": VOTE.mint(),
                    "comparison": found.number,
                    "voter": voter,
                    "verdict": "answer" if isinstance(choice, int) else choice,
                    "choice": chosen,
                    "created_at": int(time.time()),
                }
                made = insert(votes).values(row).returning(votes.c.number)
                number = connection.execute(made).scalar_one()
                if chosen is not None:
                    add_entry(connection, project, vote=number)
                return str(row["id"])

            id = once(connection, project, asked, make)
            return _read(connection, found.id, votes.c.id == id)[0]

    def counts(self, project: int) -> list[PairCount]:
        """Every two models that were compared, the most compared first."""
        one, other = answers.alias("one"), answers.alias("other")
        query = (
            select(
                votes.c.number,
                one.c.model,
                other.c.model,
                votes.c.verdict,
                one.c.place,
                other.c.place,
                votes.c.choice,
            )
            .select_from(comparisons)
            .join(votes, votes.c.comparison == comparisons.c.number)
            .join(one, one.c.comparison == comparisons.c.number)
            .join(other, other.c.comparison == comparisons.c.number)
            .where(comparisons.c.project == project, comparisons.c.deleted_at.is_(None))
            .where(one.c.model < other.c.model, newest())
        )
        # Each vote once, though one model may have given several of the answers.
        said: set[tuple[int, str, str, str]] = set()
        with self._store.reading() as connection:
            for vote, a, b, verdict, place_a, place_b, choice in connection.execute(query):
                won = {place_a: "wins_a", place_b: "wins_b"}.get(choice)
                kind = {"tie": "ties", "bad": "bad"}.get(verdict, won)
                # Another answer than these two was better: that says nothing of them.
                if kind is not None:
                    said.add((vote, a, b, kind))
        counted: dict[tuple[str, str], Counter[str]] = {}
        for _, a, b, kind in said:
            counted.setdefault((a, b), Counter())[kind] += 1
        found = [
            PairCount(a, b, n["wins_a"], n["wins_b"], n["ties"], n["bad"])
            for (a, b), n in counted.items()
        ]
        return sorted(found, key=lambda pair: (-pair.votes, pair.model_a, pair.model_b))

    def list(self, project: int, comparison: str, window: Window) -> Page[Vote]:
        """All there ever were.

        Raises:
            MissingError: no such comparison, no vote `after` on it.
        """
        with self._store.reading() as connection:
            found = find_comparison(connection, project, comparison)
            query = select(votes, newest().label("counts"))
            of = votes.c.comparison == found.number
            page = read_page(connection, query, window, VOTE, [votes.c.number], of)
            return Page([_vote(row, found.id) for row in page.items], page.has_more)


def newest() -> ColumnElement[bool]:
    """Of a vote: that its voter has not voted again."""
    later = votes.alias("later")
    return ~(
        select(later.c.number)
        .where(
            later.c.comparison == votes.c.comparison,
            later.c.voter == votes.c.voter,
            later.c.number > votes.c.number,
        )
        .exists()
    )


def _read(connection: Connection, comparison: str, *where: Any) -> list[Vote]:
    rows = connection.execute(select(votes, newest().label("counts")).where(*where)).all()
    return [_vote(row, comparison) for row in rows]


def _vote(row: Row[Any], comparison: str) -> Vote:
    choice = row.choice if row.verdict == "answer" else row.verdict
    return Vote(row.id, comparison, row.voter, choice, bool(row.counts), row.created_at)
