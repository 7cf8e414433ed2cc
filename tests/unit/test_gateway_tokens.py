"""The routes about tokens: they wait and are given up as any other request, and hold up none."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import Request

from lmft.dataset.encode import Encoder
from lmft.format.contract import FormatContract
from lmft.paths import EMBEDDED_BASE
from serving.gateway import pieces as pieces_module
from serving.gateway.access.admission import Admission, Room
from serving.gateway.access.callers import ANYONE
from serving.gateway.errors import RequestError
from serving.gateway.pieces import MAX_PIECES, pieces
from serving.gateway.routes.tokenization import tokenize
from serving.gateway.schemas.tokens import TokenizeRequest
from serving.gateway.state import Gateway
from serving.pool.served import ServedModel
from serving.watch.drain import LeavingError
from serving.watch.record import record_of
from serving.watch.wanted import ClientGoneError
from serving.watch.watch import Watch
from tests.unit.bos import EOS

CONTEXT = 100
CONTRACT = FormatContract(kind="base", eos=EOS, context_length=CONTEXT)
ENCODER = Encoder(EMBEDDED_BASE, EOS)


class OneModel:
    """A pool that notes how long it may wait, and gives its lease once `ready` is set."""

    def __init__(self) -> None:
        self.ready = asyncio.Event()
        self.wait_seconds = 0.0
        self.released = 0

    async def lease(self, model: str, *, wait_seconds: float, aside: Any) -> Any:
        self.wait_seconds = wait_seconds
        await self.ready.wait()
        return self

    def __enter__(self) -> Any:
        served = ServedModel("m", "m-internal", "base", CONTRACT)
        return SimpleNamespace(model=served, encoder=ENCODER, context_length=CONTEXT)

    def __exit__(self, *_: object) -> None:
        self.released += 1


@pytest.fixture
def watch(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    monkeypatch.setenv("LMFT_HOME", str(tmp_path))
    watch = Watch(drain_seconds=0, log_texts=False)
    yield watch
    watch.log.close()


def request(watch: Watch, pool: Any, gone: asyncio.Event, **headers: str) -> Request:
    async def receive() -> dict[str, Any]:
        await gone.wait()
        return {"type": "http.disconnect"}

    no_store: Any = None
    shared = Gateway(pool, watch, Admission(Room(1, 1)), no_store)
    state = SimpleNamespace(gateway=shared)
    return Request(
        {
            "type": "http",
            "method": "POST",
            "path": "/v1/lmft/tokenize",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "app": SimpleNamespace(state=state),
            "state": {"caller": ANYONE},
        },
        receive,
    )


BODY = TokenizeRequest(model="m", prompt="Go!")


def test_tokenization_waits_as_long_as_it_is_told_and_says_what_it_asked(watch: Watch) -> None:
    async def ask() -> None:
        pool = OneModel()
        pool.ready.set()
        asked = request(watch, pool, asyncio.Event(), prefer="wait=7")
        answer = json.loads((await tokenize(BODY, asked)).body)
        assert (answer["count"], answer["pieces"]) == (2, ["Go", "!"])
        assert pool.wait_seconds == 7
        assert pool.released == 1
        record = record_of(asked.scope)
        assert (record.asked, record.model, record.adapter) == ("m", "m", "base")

    asyncio.run(ask())


def test_tokenization_ends_when_its_client_goes_or_the_server_must(watch: Watch) -> None:
    async def ask() -> None:
        gone = asyncio.Event()
        task = asyncio.create_task(tokenize(BODY, request(watch, OneModel(), gone)))
        await asyncio.sleep(0.01)
        gone.set()
        with pytest.raises(ClientGoneError):
            await asyncio.wait_for(task, 5)
        task = asyncio.create_task(tokenize(BODY, request(watch, OneModel(), asyncio.Event())))
        await asyncio.sleep(0.01)
        watch.drain.begin()
        watch.drain.done()
        with pytest.raises(LeavingError):
            await asyncio.wait_for(task, 5)

    asyncio.run(ask())


class Pieces:
    """An encoder that notes what it is asked, and by which threads."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.threads: set[int] = set()

    def piece(self, token: int) -> str:
        self.asked.append(token)
        self.threads.add(threading.get_ident())
        return str(token)


def made(tokens: list[int], context_length: int = CONTEXT) -> tuple[list[str], Pieces]:
    encoder = Pieces()
    lease: Any = SimpleNamespace(encoder=encoder, context_length=context_length)
    return asyncio.run(pieces(tokens, lease)), encoder


def test_a_token_that_comes_often_is_made_to_text_once() -> None:
    assert made([3, 1, 3, 3])[0] == ["3", "1", "3", "3"]
    assert sorted(made([3, 1, 3, 3])[1].asked) == [1, 3]


def test_many_pieces_are_made_beside_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces_module, "_MANY", 3)
    assert made([1, 2, 3])[1].threads == {threading.get_ident()}
    assert threading.get_ident() not in made([1, 2, 3, 4])[1].threads


def test_more_pieces_than_make_sense_are_refused_before_any_is_made() -> None:
    with pytest.raises(RequestError, match=str(MAX_PIECES + 1)) as caught:
        made([1] * (MAX_PIECES + 1))
    assert caught.value.code == "context_length_exceeded"
    assert len(made([1] * (MAX_PIECES + 1), context_length=MAX_PIECES + 1)[0]) == MAX_PIECES + 1
