"""A job of a server, followed through whatever the server does meanwhile."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from lmft.errors import EngineError, LmftError, NotFoundError, UserError
from lmft.jobs import sources
from lmft.jobs.sources import RemoteJobs

Answer = Callable[[httpx.Request], httpx.Response]
JOB = "ftjob-1"


def refused(status: int, code: str, **headers: str) -> Answer:
    body = {"error": {"message": f"It is {code}.", "type": "e", "param": None, "code": code}}
    return lambda _: httpx.Response(status, json=body, headers=headers)


def gone(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused", request=request)


def told(*names: str) -> Answer:
    """A stream that ends after these events, numbered from 1."""
    text = "".join(
        f"event: {name}\nid: {number}\ndata: {json.dumps({'said': name})}\n\n"
        for number, name in enumerate(names, start=1)
    )
    return lambda _: httpx.Response(200, text=text)


class Server:
    """Answers in turn; the last of them for ever. Attributes: asked: the cursors it was given."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.headers["last-event-id"])
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return answer(request)


class Time:
    """Passes only where it is slept through. Attributes: pauses: in seconds."""

    def __init__(self) -> None:
        self.now, self.pauses = 1000.0, list[float]()

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    made = Time()
    monkeypatch.setattr(sources, "time", made)
    return made


@pytest.fixture
def following() -> Iterator[Callable[[Server], Iterator[Any]]]:
    opened: list[httpx.Client] = []

    def follow(server: Server) -> Iterator[Any]:
        jobs = RemoteJobs("http://there")
        jobs._http.close()
        jobs._http = httpx.Client(
            base_url="http://there", transport=httpx.MockTransport(server), timeout=1
        )
        opened.append(jobs._http)
        return jobs.follow(JOB)

    yield follow
    for client in opened:
        client.close()


@pytest.mark.parametrize(
    "away",
    [
        gone,
        refused(503, "shutting_down", **{"retry-after": "10"}),
        refused(429, "server_busy", **{"retry-after": "10"}),
        refused(429, "rate_limit_exceeded"),
        lambda _: httpx.Response(502, text="<html>Bad Gateway</html>"),
    ],
    ids=["no server", "it ends", "full", "too fast", "only the proxy"],
)
def test_a_server_that_is_restarted_is_waited_for(
    following: Callable[[Server], Iterator[Any]], time: Time, away: Answer
) -> None:
    server = Server(told("job", "event"), away, away, told("event", "done"))
    assert [news.kind for news in following(server)] == ["job", "event", "event"]
    assert server.asked == ["0", "2", "2", "2"]


def test_it_is_asked_again_when_it_says(
    following: Callable[[Server], Iterator[Any]], time: Time
) -> None:
    waits = [
        refused(429, "server_busy", **{"retry-after": text}) for text in ("3", "99999", "0", "x")
    ]
    assert list(following(Server(*waits, told("done")))) == []
    assert time.pauses == [3, 10, sources.EVERY_SECONDS, sources.EVERY_SECONDS]


@pytest.mark.parametrize(
    ("away", "kind", "says"),
    [
        (gone, NotFoundError, "No lmft server answers"),
        (refused(503, "shutting_down"), EngineError, "It is shutting_down."),
        (refused(429, "server_busy"), UserError, "It is server_busy."),
    ],
)
def test_one_that_stays_away_is_given_up_with_what_it_said_last(
    following: Callable[[Server], Iterator[Any]],
    time: Time,
    away: Answer,
    kind: type[LmftError],
    says: str,
) -> None:
    with pytest.raises(kind, match=says):
        list(following(Server(away)))
    assert 120 <= time.now - 1000 < 125


def test_a_job_that_was_quiet_for_hours_is_waited_for_like_any_other(
    following: Callable[[Server], Iterator[Any]], time: Time
) -> None:
    """A stream of nothing but heartbeats is no server that is away."""

    def quiet(request: httpx.Request) -> httpx.Response:
        def lines() -> Iterator[bytes]:
            yield b'event: job\nid: 4\ndata: {"said": "job"}\n\n'
            for _ in range(500):
                time.now += 15
                yield b": nothing new\n\n"
            raise httpx.ReadError("cut", request=request)

        return httpx.Response(200, content=lines())

    server = Server(quiet, gone, refused(503, "shutting_down"), told("done"))
    assert [news.cursor for news in following(server)] == [4]
    assert server.asked == ["0", "4", "4", "4"]


@pytest.mark.parametrize(("status", "kind"), [(404, NotFoundError), (401, UserError)])
def test_what_will_not_change_is_no_reason_to_wait(
    following: Callable[[Server], Iterator[Any]], time: Time, status: int, kind: type[LmftError]
) -> None:
    with pytest.raises(kind, match="It is refused"):
        list(following(Server(refused(status, "refused"))))
    assert time.pauses == []
