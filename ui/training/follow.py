"""What is known of the jobs that pages look at. Between two looks it asks only for what is new,
and two visitors of one job are told from one look."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from ui.training.client import Jobs, Row
from ui.training.job import Job

_KEPT = 50
# Pages of 100 events; of a long training most are metrics, which are asked for by themselves.
_EVENT_PAGES = 5


@dataclass(frozen=True)
class Seen:
    """A job and what came of it so far.

    Attributes:
        rows: of metrics, by step. samples: oldest first. events: messages, newest first.
    """

    job: Job
    rows: Sequence[Row] = ()
    samples: Sequence[Row] = ()
    events: Sequence[Row] = ()


@dataclass
class _Known:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    mark: tuple[object, ...] | None = None
    rows: dict[tuple[int, bool], Row] = field(default_factory=dict)
    newest_row: str | None = None
    samples: list[Row] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)
    newest_event: str = ""


class Following:
    """Belongs to the event loop of the pages."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._known: OrderedDict[str, _Known] = OrderedDict()

    async def look(self, id: str) -> Seen:
        """Raises GatewayError."""
        known = self._known.setdefault(id, _Known())
        self._known.move_to_end(id)
        if len(self._known) > _KEPT:
            self._known.popitem(last=False)
        async with known.lock:
            job = await self._jobs.job(id)
            # What moves may have more to say at the same step.
            if job.moves or job.mark != known.mark:
                await self._learn(known, id)
                known.mark = job.mark
            rows = [known.rows[key] for key in sorted(known.rows)]
            return Seen(job, rows, tuple(known.samples), tuple(known.events))

    async def _learn(self, known: _Known, id: str) -> None:
        for row in await self._jobs.metrics(id, known.newest_row):
            known.rows[int(row.get("step") or 0), "heldout_loss" in row] = row
            known.newest_row = str(row["id"])
        known.samples = await self._jobs.samples(id)
        known.events = await self._new_events(known, id) + known.events

    async def _new_events(self, known: _Known, id: str) -> list[Row]:
        found: list[Row] = []
        after, newest = None, ""
        for _ in range(_EVENT_PAGES):
            page, more = await self._jobs.events(id, after)
            for event in page:
                newest = newest or str(event["id"])
                if event["id"] == known.newest_event:
                    more = False
                    break
                if _is_message(event):
                    found.append(event)
            if not more or not page:
                break
            after = str(page[-1]["id"])
        known.newest_event = newest or known.newest_event
        return found


def _is_message(event: Row) -> bool:
    return event.get("type") != "metrics" and "sample" not in (event.get("data") or {})
