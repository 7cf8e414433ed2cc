"""A job followed over HTTP: server-sent events from the store, by a cursor that outlives the
connection, the server and the job's trainer."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from fastapi import Request
from fastapi.responses import StreamingResponse

from lmft.errors import LmftError
from lmft.jobs.follow import EVERY_SECONDS, Follower, News
from serving.gateway import answers
from serving.gateway.access.callers import caller
from serving.gateway.errors import RequestError, describe
from serving.gateway.state import gateway

# Of this server. Each costs a look at the database twice a second.
MAX_FOLLOWERS, MAX_OF_A_PROJECT = 64, 16
HEARTBEAT_SECONDS = 15.0
_CURSOR = re.compile(r"[0-9]{1,18}")
_following: Counter[str] = Counter()


class FollowersError(LmftError):
    """As many follow as may."""

    code = "server_busy"
    retry_after_seconds = 10.0

    def __init__(self) -> None:
        super().__init__(
            f"{MAX_FOLLOWERS} streams of jobs, or {MAX_OF_A_PROJECT} of this project, are open.",
            "Poll the job instead.",
        )


class Followed:
    """Args:
    request: ends when its server does. first: what is new already.
    """

    def __init__(
        self, request: Request, project: str, follower: Follower, first: list[News]
    ) -> None:
        self._project = project
        self._drain = gateway(request).watch.drain
        self._follower = follower
        self._first = first

    @property
    def ended(self) -> bool:
        return self._follower.ended

    async def news(self) -> AsyncGenerator[News | None, None]:
        """What is new, as it comes, until the job has ended; None where long nothing was.

        Ends early when the server is being stopped: the cursor goes on elsewhere.

        Raises:
            FollowersError.
        """
        _require_place(self._project)
        _following[self._project] += 1
        try:
            new, told_at = self._first, time.monotonic()
            while True:
                for one in new:
                    told_at = time.monotonic()
                    yield one
                if self._follower.ended or self._drain.leaving:
                    return
                if time.monotonic() - told_at >= HEARTBEAT_SECONDS:
                    told_at = time.monotonic()
                    yield None
                await asyncio.sleep(EVERY_SECONDS)
                new = await asyncio.to_thread(self._follower.look)
        finally:
            _following[self._project] -= 1


def follower(request: Request, job: str, last_event_id: str | None = None) -> Followed:
    """Whoever asks, following that job.

    Args:
        last_event_id: the cursor that the client heard last.

    Raises:
        JobNotFoundError, FollowersError; RequestError: no cursor of ours.
    """
    asks = caller(request)
    if last_event_id and not _CURSOR.fullmatch(last_event_id):
        raise RequestError("Last-Event-ID is the `id` of an event of this stream.", param="after")
    _require_place(asks.project)
    follows = Follower(
        gateway(request).store, job, asks.project_id, asks.project, int(last_event_id or 0)
    )
    # The first look is before the status line: a job that is not there is an ordinary 404.
    return Followed(request, asks.project, follows, follows.look())


def _require_place(project: str) -> None:
    if _following.total() >= MAX_FOLLOWERS or _following[project] >= MAX_OF_A_PROJECT:
        raise FollowersError


def data_events(followed: Followed) -> StreamingResponse:
    """OpenAI's events as data only; `[DONE]` once the job has ended."""

    async def texts() -> AsyncIterator[str]:
        async for one in _told(followed):
            if one is None:
                yield _HEARTBEAT
            elif isinstance(one, str):
                yield f"data: {one}\n\n"
            elif one.kind == "event":
                yield answers.event(one.data)
        if followed.ended:
            yield answers.DONE

    return _response(texts())


def named_events(followed: Followed) -> StreamingResponse:
    """`job` and `event`, each with the cursor; `done` once the job has ended."""

    async def texts() -> AsyncIterator[str]:
        async for one in _told(followed):
            if one is None:
                yield _HEARTBEAT
            elif isinstance(one, str):
                yield f"event: error\ndata: {one}\n\n"
                return
            else:
                yield f"event: {one.kind}\nid: {one.cursor}\n{answers.event(one.data)}"
        if followed.ended:
            yield "event: done\ndata: [DONE]\n\n"

    return _response(texts())


_HEARTBEAT = ": nothing new\n\n"


async def _told(followed: Followed) -> AsyncGenerator[News | str | None, None]:
    """The news; an error in the middle, as JSON, is the last of them."""
    async with aclosing(followed.news()) as news:
        try:
            async for one in news:
                yield one
        except LmftError as error:
            yield json.dumps(describe(error)[1])


def _response(texts: AsyncIterator[str]) -> StreamingResponse:
    return StreamingResponse(
        texts, media_type="text/event-stream", headers={"cache-control": "no-store"}
    )
