"""POST /v1/completions: from a question to the pieces of its answers, and what becomes of them."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from serving.engine.local.choices import Choice, envelope, usage
from serving.engine.local.engine import Engine, Refusal
from serving.engine.local.question import Question, read_question
from serving.engine.local.sequence import Ask, Piece, Sequence


async def complete(engine: Engine, request: Request) -> Response:
    """The answer, whole or as server-sent events. A closed connection aborts what is under way.

    Raises:
        QuestionError, Refusal: it cannot be answered.
    """
    question = read_question(await request.body())
    adapter = engine.names.get(question.model)
    if adapter is None:
        raise Refusal(404, f"The model {question.model!r} does not exist.")
    question.require(engine.context_length, engine.model.vocabulary)
    asks = question.asks(adapter)
    choices = [Choice(index, ask, question, engine.tokenizer) for index, ask in enumerate(asks)]
    if question.stream:
        events = _events(engine, asks, question, choices)
        return StreamingResponse(events, media_type="text/event-stream")
    gone = asyncio.create_task(_disconnected(request))
    whole = asyncio.create_task(_whole(engine, asks, choices))
    try:
        await asyncio.wait({gone, whole}, return_when=asyncio.FIRST_COMPLETED)
        if not whole.done():
            # Nobody reads it.
            return Response(status_code=499)
        if not whole.result():
            raise Refusal(500, "The engine failed in mid-answer.")
    finally:
        for task in (gone, whole):
            task.cancel()
        await asyncio.gather(gone, whole, return_exceptions=True)
    return JSONResponse(
        envelope(question)
        | {"choices": [choice.whole() for choice in choices], "usage": usage(question, choices)}
    )


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _whole(engine: Engine, asks: list[Ask], choices: list[Choice]) -> bool:
    """Fill the choices; False where one of them has no end."""
    async with contextlib.aclosing(_answered(engine, asks)) as pieces:
        async for index, piece in pieces:
            if piece.failed:
                return False
            choices[index].add(piece)
    return True


async def _events(
    engine: Engine, asks: list[Ask], question: Question, choices: list[Choice]
) -> AsyncIterator[str]:
    shell = envelope(question)
    async with contextlib.aclosing(_answered(engine, asks)) as pieces:
        async for index, piece in pieces:
            if piece.failed:
                yield _event({"error": {"message": "The engine failed.", "code": 500}})
                break
            yield _event(shell | {"choices": [choices[index].chunk(piece)]})
        else:
            if question.stream_options.include_usage:
                yield _event(shell | {"choices": [], "usage": usage(question, choices)})
    yield "data: [DONE]\n\n"


def _event(body: dict[str, Any]) -> str:
    return f"data: {json.dumps(body)}\n\n"


async def _answered(engine: Engine, asks: list[Ask]) -> AsyncGenerator[tuple[int, Piece], None]:
    """The pieces of all choices as they come. Closing it aborts what is not finished yet."""
    loop = asyncio.get_running_loop()
    arrived: asyncio.Queue[tuple[int, Piece]] = asyncio.Queue()

    def into(index: int) -> Callable[[Piece], None]:
        def emit(piece: Piece) -> None:
            loop.call_soon_threadsafe(arrived.put_nowait, (index, piece))

        return emit

    sequences = [
        Sequence(ask, engine.tokenizer, engine.end_id, engine.model.device, into(index))
        for index, ask in enumerate(asks)
    ]
    for sequence in sequences:
        engine.runner.submit(sequence)
    try:
        left = len(sequences)
        while left:
            index, piece = await arrived.get()
            left -= piece.finish_reason is not None or piece.failed
            yield index, piece
    finally:
        for sequence in sequences:
            sequence.aborted = True
