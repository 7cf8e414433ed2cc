"""Jobs for the command line: from the store of this machine, or from a server. The same objects."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from typing import Any, Protocol

import httpx

from lmft.errors import EngineError, LmftError, NotFoundError, UserError
from lmft.jobs.attempts import Attempts
from lmft.jobs.follow import EVERY_SECONDS, Follower, News
from lmft.jobs.objects import detail_object, job_object
from lmft.jobs.queue import JobQueue
from lmft.jobs.states import Verb
from lmft.store.database import Store
from lmft.store.projects import Projects

_LISTED = 100
# A server that comes back within this time was only restarted.
_AWAY_SECONDS = 120.0
# What one says that is being stopped or has no room just now, and a proxy before one that is gone.
_AWAY = frozenset({429, 502, 503, 504})
# However long it would like to be left alone.
_LONGEST_PAUSE_SECONDS = 10.0


class _AwayError(Exception):
    """Attributes: refusal: in the server's words. seconds: when to ask again."""

    def __init__(self, refusal: LmftError, seconds: float) -> None:
        self.refusal, self.seconds = refusal, seconds
        super().__init__(refusal.message)


class Jobs(Protocol):
    """Where jobs come from. Raises NotFoundError, UserError and MachineError as the store does."""

    def list(self) -> list[dict[str, Any]]:
        """The newest hundred, newest first, as OpenAI's objects."""

    def show(self, id: str) -> dict[str, Any]:
        """One, with all that is known of it."""

    def ask(self, verb: Verb, id: str) -> dict[str, Any]:
        """Cancel, pause or resume; OpenAI's object of the job as it is then."""

    def follow(self, id: str) -> Iterator[News]:
        """What was said from its start, and what is new, until it has ended."""


class LocalJobs:
    """Of all projects of this machine."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._queue = JobQueue(store)

    def list(self) -> list[dict[str, Any]]:
        names = self._names()
        found, _ = self._queue.list(limit=_LISTED)
        return [job_object(job, names[job.project_id]) for job in found]

    def show(self, id: str) -> dict[str, Any]:
        job = self._queue.get(id)
        attempts = Attempts(self._store, "").of(job)
        report = self._queue.report(id)
        return detail_object(job, self._names()[job.project_id], report, attempts)

    def ask(self, verb: Verb, id: str) -> dict[str, Any]:
        job = self._queue.ask(verb, id)
        return job_object(job, self._names()[job.project_id])

    def follow(self, id: str) -> Iterator[News]:
        project = self._names()[self._queue.get(id).project_id]
        follower = Follower(self._store, id, None, project)
        while True:
            yield from follower.look()
            if follower.ended:
                return
            time.sleep(EVERY_SECONDS)

    def _names(self) -> dict[int, str]:
        return {project.id: project.name for project in Projects(self._store).all()}


class RemoteJobs:
    """Of the project of `LMFT_API_KEY` at a server. Args: url: without `/v1`."""

    def __init__(self, url: str) -> None:
        key = os.environ.get("LMFT_API_KEY")
        headers = {"authorization": f"Bearer {key}"} if key else {}
        self._url = url
        self._http = httpx.Client(base_url=url.rstrip("/"), headers=headers, timeout=60)

    def list(self) -> list[dict[str, Any]]:
        found = self._json("GET", f"/v1/fine_tuning/jobs?limit={_LISTED}")
        return list(found["data"])

    def show(self, id: str) -> dict[str, Any]:
        return self._json("GET", f"/v1/lmft/jobs/{_in_path(id)}")

    def ask(self, verb: Verb, id: str) -> dict[str, Any]:
        return self._json("POST", f"/v1/fine_tuning/jobs/{_in_path(id)}/{verb}")

    def follow(self, id: str) -> Iterator[News]:
        cursor, away_since = 0, None
        while True:
            seconds = EVERY_SECONDS
            try:
                for name, text, number in self._events(id, cursor):
                    away_since = None
                    if name == "done":
                        return
                    if name in ("job", "event"):
                        cursor = number
                        yield News("job" if name == "job" else "event", number, json.loads(text))
            except _AwayError as away:
                # Since it went, not since it last said something: a job may be quiet for long.
                away_since = time.monotonic() if away_since is None else away_since
                if time.monotonic() - away_since > _AWAY_SECONDS:
                    raise away.refusal from away
                seconds = away.seconds
            time.sleep(seconds)

    def _events(self, id: str, cursor: int) -> Iterator[tuple[str, str, int]]:
        """Name, data and cursor of each event of a stream. Raises _AwayError: ask again."""
        path, headers = f"/v1/lmft/jobs/{_in_path(id)}/stream", {"last-event-id": str(cursor)}
        try:
            with self._http.stream("GET", path, headers=headers) as response:
                if response.status_code != 200:
                    response.read()
                    refusal = _refusal(response)
                    if response.status_code in _AWAY:
                        raise _AwayError(refusal, _pause(response))
                    raise refusal
                fields: dict[str, str] = {}
                for line in response.iter_lines():
                    if line:
                        name, _, value = line.partition(": ")
                        fields[name] = value
                    elif "event" in fields:
                        data, number = fields.get("data", ""), int(fields.get("id", cursor))
                        yield fields["event"], data, number
                        fields = {}
        except httpx.TransportError as error:
            raise _AwayError(self._gone(), EVERY_SECONDS) from error

    def _json(self, method: str, path: str) -> dict[str, Any]:
        try:
            response = self._http.request(method, path)
        except httpx.TransportError as error:
            raise self._gone() from error
        if response.status_code != 200:
            raise _refusal(response)
        body: dict[str, Any] = response.json()
        return body

    def _gone(self) -> LmftError:
        return NotFoundError(f"No lmft server answers at {self._url}.", "Start one: `lmft serve`.")


def _in_path(id: str) -> str:
    """Raises NotFoundError for what would be another path."""
    if not id.replace("-", "").isalnum():
        raise NotFoundError(f"{id[:80]!r} is no id of a job.", "`lmft jobs list` shows them.")
    return id


def _refusal(response: httpx.Response) -> LmftError:
    try:
        message = str(response.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return EngineError(f"The server answered {response.status_code}.")
    if response.status_code == 404:
        return NotFoundError(message)
    return (UserError if response.status_code < 500 else EngineError)(message)


def _pause(response: httpx.Response) -> float:
    """Seconds until it may be asked again."""
    wished = response.headers.get("retry-after", "")
    seconds = float(wished) if wished.isdecimal() else EVERY_SECONDS
    return min(max(seconds, EVERY_SECONDS), _LONGEST_PAUSE_SECONDS)
