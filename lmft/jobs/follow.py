"""A job as it goes on: what is new since the last look, told by a cursor, so that a follower can
begin again anywhere, in another process or after a restart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from lmft.jobs.events import events_since
from lmft.jobs.objects import event_object, progress_object
from lmft.jobs.queue import find
from lmft.store.database import Store

EVERY_SECONDS = 0.5
_AT_ONCE = 500


@dataclass(frozen=True)
class News:
    """Attributes:
    kind: `event`, or `job` where status or progress have changed.
    cursor: of the last event that was told; what to begin after next time.
    """

    kind: Literal["job", "event"]
    cursor: int
    data: dict[str, Any]


class Follower:
    """Args:
    project_id: whose the job must be; None for whoever runs this machine.
    project: the name to show. after: a cursor; 0 tells all from the start.

    Attributes:
        ended: the job has, and all of it was told.
    """

    def __init__(
        self, store: Store, id: str, project_id: int | None, project: str, after: int = 0
    ) -> None:
        self.ended = False
        self._store = store
        self._id = id
        self._project_id = project_id
        self._project = project
        self._cursor = after
        self._shown: dict[str, Any] | None = None

    def look(self) -> list[News]:
        """What is new: the job first where it has changed, then its events, oldest first.

        Raises:
            JobNotFoundError.
        """
        with self._store.reading() as connection:
            job = find(connection, self._id, self._project_id)
            events = events_since(connection, job.number, self._cursor, limit=_AT_ONCE)
        news = []
        shown = progress_object(job, self._project)
        if shown != self._shown:
            self._shown = shown
            news.append(News("job", self._cursor, shown))
        for event in events:
            self._cursor = event.number
            news.append(News("event", event.number, event_object(event)))
        self.ended = job.ended and len(events) < _AT_ONCE
        return news
