"""What is not on the list of understood fields costs no call of the engine: it is counted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from lmft.dataset.encode import Encoder
from lmft.errors import NotFoundError
from lmft.format.contract import FormatContract
from lmft.paths import EMBEDDED_BASE
from lmft.store.database import open_store
from lmft.store.keys import Keys
from serving.engine.client import EngineClient
from serving.gateway.access.access import access_to
from serving.gateway.app import build_app
from serving.pool.lease import Lease
from serving.pool.served import ServedModel
from serving.watch.watch import Watch

EOS = "<|endoftext|>"
COMPLETION = ("/v1/completions", {"model": "m", "prompt": "Once"})
CHAT = ("/v1/chat/completions", {"model": "m", "messages": [{"role": "user", "content": "Hi"}]})
PLAY = ("/v1/lmft/play", {"model": "m", "turns": [{"by": "narrator", "text": "Once."}]})
TOKENIZE = ("/v1/lmft/tokenize", {"model": "m", "prompt": "Once"})
ANSWER = {
    "choices": [{"index": 0, "text": " upon", "logprobs": None, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}


class FakeEngine:
    """Counts what reaches it, and answers the same to everything."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int(head.lower().partition("content-length: ")[2].partition("\r\n")[0])
        self.calls.append(json.loads(await reader.readexactly(length)))
        body = json.dumps(ANSWER).encode()
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n"
            + f"content-length: {len(body)}\r\n\r\n".encode()
            + body
        )
        await writer.drain()
        writer.close()


class OneModel:
    """A pool of one model, `m`, behind which the fake engine is."""

    def __init__(self, client: EngineClient, contract: FormatContract) -> None:
        self.client, self.contract = client, contract

    async def lease(self, model: str, *, wait_seconds: float = 0, aside: Any = None) -> Lease:
        if model != "m":
            raise NotFoundError(f"The model {model!r} does not exist.")
        served = ServedModel("m", "m-internal", "base", self.contract)
        encoder = Encoder(EMBEDDED_BASE, EOS)
        return Lease(served, self.client, encoder, 256, release=lambda: None)


@asynccontextmanager
async def gateway(directory: Path) -> AsyncIterator[tuple[httpx.AsyncClient, FakeEngine]]:
    """The whole application but for its engines."""
    engine, socket = FakeEngine(), directory / "engine.sock"
    server = await asyncio.start_unix_server(engine.serve, socket)
    client, store = EngineClient(socket, "key"), open_store()
    contract = FormatContract(kind="base", eos=EOS, context_length=256)
    pool: Any = OneModel(client, contract)
    watch = Watch(drain_seconds=0, log_texts=False)
    app = build_app(
        pool,
        watch,
        access_to(Keys(store), {}),
        store,
        host="127.0.0.1",
        on_engine_end=lambda: None,
    )
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        server,
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http,
    ):
        yield http, engine
    await client.close()
    store.close()
    watch.log.close()


def run(directory: Path, body: Callable[[httpx.AsyncClient, FakeEngine], Awaitable[None]]) -> None:
    async def inside() -> None:
        async with gateway(directory) as (http, engine):
            await body(http, engine)

    asyncio.run(inside())


def test_what_is_understood_reaches_the_engine_once_and_with_nothing_else(tmp_path: Path) -> None:
    async def ask(http: httpx.AsyncClient, engine: FakeEngine) -> None:
        for path, body in (COMPLETION, CHAT):
            answer = await http.post(path, json=body | {"user": "me", "store": True})
            assert answer.status_code == 200, answer.text
        assert len(engine.calls) == 2
        for call in engine.calls:
            assert call["model"] == "m-internal"
            assert not {"user", "store", "messages"} & call.keys()

    run(tmp_path, ask)


FORBIDDEN_FIELDS = {
    "chat_template": "{{ messages }}",
    "chat_template_kwargs": {"x": 1},
    "prompt_embeds": "AAAA",
    "lora_path": "/etc/passwd",
    "lora_request": {"path": "/etc"},
    "guided_json": {},
    "structured_outputs": {"regex": "a+"},
    "mm_processor_kwargs": {},
    "kv_transfer_params": {},
    "vllm_xargs": {},
    "logits_processors": ["os.system"],
    "documents": [{"path": "/etc/passwd"}],
    "stop_token_ids": [1],
    "ignore_what_came_before": True,
}


def test_a_field_outside_the_list_is_422_and_no_call_of_the_engine(tmp_path: Path) -> None:
    async def ask(http: httpx.AsyncClient, engine: FakeEngine) -> None:
        for path, body in (COMPLETION, CHAT, PLAY, TOKENIZE):
            for field, value in FORBIDDEN_FIELDS.items():
                answer = await http.post(path, json=body | {field: value})
                assert answer.status_code == 422, (path, field, answer.text)
                error = answer.json()["error"]
                assert (error["code"], error["param"]) == ("unknown_parameter", field)
        assert engine.calls == []

    run(tmp_path, ask)


PARTS = [
    {"type": "image_url", "image_url": {"url": "http://169.254.169.254/latest"}},
    {"type": "image_url", "image_url": {"url": "file:///etc/passwd"}},
    {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
    {"type": "video_url", "video_url": {"url": "http://x.example/"}},
    {"type": "image_embeds", "image_embeds": "AAAA"},
    {"type": "file", "file": {"file_id": "file-1"}},
    {"type": "text", "text": "Hi", "path": "/etc/passwd"},
]


def test_anything_but_text_in_a_message_is_422_and_no_call_of_the_engine(tmp_path: Path) -> None:
    async def ask(http: httpx.AsyncClient, engine: FakeEngine) -> None:
        for part in PARTS:
            message = {"role": "user", "content": [{"type": "text", "text": "See:"}, part]}
            answer = await http.post(CHAT[0], json=CHAT[1] | {"messages": [message]})
            assert answer.status_code == 422, (part, answer.text)
            assert "passwd" not in answer.text
        assert engine.calls == []

    run(tmp_path, ask)


@pytest.mark.parametrize(
    ("route", "wrong"),
    [
        (COMPLETION, {"temperature": 9}),
        (COMPLETION, {"prompt": {"prompt_embeds": "AAAA"}}),
        (COMPLETION, {"suffix": "x"}),
        (COMPLETION, {"prompt": [10**6]}),
        (COMPLETION, {"prompt": "word " * 300}),
        (CHAT, {"tools": [{"type": "function", "function": {"name": "f"}}]}),
        (
            CHAT,
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "x", "schema": {"$ref": "file:///etc/passwd"}},
                }
            },
        ),
        (COMPLETION, {"model": "other"}),
    ],
)
def test_a_wrong_value_costs_no_call_of_the_engine(
    tmp_path: Path, route: tuple[str, dict[str, Any]], wrong: dict[str, Any]
) -> None:
    async def ask(http: httpx.AsyncClient, engine: FakeEngine) -> None:
        answer = await http.post(route[0], json=route[1] | wrong)
        assert answer.status_code == (404 if "model" in wrong else 400), answer.text
        assert engine.calls == []

    run(tmp_path, ask)
