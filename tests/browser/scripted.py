"""A gateway that says what a test tells it to, when it tells it to.

It implements docs/api.md without a model, for what a real engine cannot produce on demand: HTML
in an answer, a slow model beside a fast one, an error in mid-sentence. Nothing in it is timed:
a script waits at a `Gate` until the test opens it.
"""

from __future__ import annotations

import asyncio
import json
import queue
import socket
import threading
from collections.abc import AsyncIterator

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

import ui.app
from tests.browser.script import HASHES, HESPER, MODELS, Cut, Fail, Gate, Part, Script
from tests.browser.scripted_jobs import ScriptedJobs


class ScriptedGateway:
    """Runs in a thread, with the pages mounted on it as on the real one.

    Attributes:
        scripts: model id -> what it says next; without one, every model says `REPLY`.
        refuse: model id -> (status, code, message) instead of an answer.
        asked: the bodies of all requests for text.
        hung_up: ids of models whose client went away before the end.
        training: files and jobs.
    """

    def __init__(self, port: int = 0, api_key: str | None = None) -> None:
        self._socket = socket.create_server(("127.0.0.1", port))
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.app = FastAPI()
        self.training = ScriptedJobs(self.app)
        self.reset()
        self._routes()
        ui.app.mount(self.app, self.url, api_key)
        # Closing waits for open streams; browsers keep one open as long as a page is.
        config = uvicorn.Config(self.app, log_level="critical", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def reset(self) -> None:
        self.ready: dict[str, str] = {"status": "ready"}
        self.models = list(MODELS)
        self.scripts: dict[str, list[Script]] = {}
        self.refuse: dict[str, tuple[int, str, str]] = {}
        self.asked: list[dict[str, object]] = []
        self.hung_up: queue.Queue[str] = queue.Queue()
        self.training.reset()

    def start(self) -> None:
        """The socket listens already: whoever connects before the server runs, waits."""
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()

    def script(self, model: str, *parts: Part, **more: str) -> None:
        self.scripts.setdefault(model, []).append(Script(list(parts), **more))

    def gate(self) -> Gate:
        return Gate(self.loop)

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        await self._server.serve(sockets=[self._socket])
        # On a busy machine some are still being answered when uvicorn's patience is over.
        for connection in list(self._server.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0.1)

    def _routes(self) -> None:
        @self.app.get("/healthz")
        async def healthz() -> dict[str, str]:
            return {"status": "ok"}

        @self.app.get("/readyz")
        async def readyz() -> Response:
            return JSONResponse(self.ready, 200 if self.ready["status"] == "ready" else 503)

        @self.app.get("/v1/models")
        async def models() -> dict[str, object]:
            return {"object": "list", "data": self.models}

        @self.app.post("/v1/lmft/play")
        async def play(request: Request) -> Response:
            return await self._answer(request, self._play)

        @self.app.post("/v1/completions")
        async def completions(request: Request) -> Response:
            return await self._answer(request, self._complete)

    async def _answer(self, request: Request, speak: object) -> Response:
        body = await request.json()
        self.asked.append(body)
        model = body["model"]
        if refusal := self.refuse.get(model):
            status, code, message = refusal
            error = {"message": message, "type": "error", "param": None, "code": code}
            return JSONResponse({"error": error}, status, {"retry-after": "3"})
        waiting = self.scripts.get(model)
        script = waiting.pop(0) if waiting else Script()
        name = script.answered_by or model
        headers = {"x-lmft-model": name, "x-lmft-adapter": HASHES[name]}
        stream = self._watched(speak(body, script), model)
        return StreamingResponse(stream, headers=headers, media_type="text/event-stream")

    async def _watched(self, events: AsyncIterator[object], model: str) -> AsyncIterator[str]:
        """The events as lines; notes when the client goes away before the end."""
        try:
            async for event in events:
                yield f"data: {json.dumps(event)}\n\n"
                if isinstance(event, dict) and "error" in event:
                    return
            yield "data: [DONE]\n\n"
        except asyncio.CancelledError:
            self.hung_up.put(model)
            raise

    async def _play(self, body: dict, script: Script) -> AsyncIterator[object]:
        last = body["turns"][-1]
        if last["by"] == "player":
            yield {"type": "turn", "text": _shown(body["model"], last)}
        said = ""
        async for piece in _pieces(script):
            if isinstance(piece, str):
                said += piece
                yield {"type": "delta", "text": piece}
            else:
                yield piece
                return
        name = script.answered_by or body["model"]
        yield {
            "type": "done",
            "text": said.strip(),
            "finish_reason": script.finish,
            "model": name,
            "adapter": HASHES[name],
            "dropped_turns": 0,
            "usage": _usage(said),
        }

    async def _complete(self, body: dict, script: Script) -> AsyncIterator[object]:
        chunk = {"object": "text_completion", "system_fingerprint": "fp-" + HASHES[body["model"]]}
        said = ""
        async for piece in _pieces(script):
            if isinstance(piece, str):
                said += piece
                choice = {"index": 0, "text": piece, "finish_reason": None}
                yield chunk | {"choices": [choice], "usage": None}
            else:
                yield piece
                return
        yield chunk | {"choices": [{"index": 0, "text": "", "finish_reason": script.finish}]}
        yield chunk | {"choices": [], "usage": _usage(said)}


async def _pieces(script: Script) -> AsyncIterator[str | dict[str, object]]:
    for part in script.parts:
        if isinstance(part, Gate):
            await part.passed()
        elif isinstance(part, Cut):
            raise part
        elif isinstance(part, Fail):
            yield {"error": {"message": part.message, "type": "error", "code": part.code}}
        else:
            yield part


def _shown(model: str, turn: dict[str, str]) -> str:
    """The player's line as a server would make it, near enough."""
    if model == HESPER or turn["mode"] == "story":
        return turn["text"]
    return f'> You say "{turn["text"]}"' if turn["mode"] == "say" else f"> You {turn['text']}."


def _usage(said: str) -> dict[str, int]:
    count = len(said.split())
    return {"prompt_tokens": 41, "completion_tokens": count, "total_tokens": 41 + count}
