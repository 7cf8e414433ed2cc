"""POST /v1/chat/completions: messages, rendered by the model's own format."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from serving.engine.refusals import UpstreamRefusal
from serving.gateway import tools
from serving.gateway.answers import chat_logprobs, envelope, usage
from serving.gateway.asking import Asking, asking
from serving.gateway.chat_prompt import ChatPrompt, chat_prompt, require_readable_calls
from serving.gateway.documents import refusals, streamed
from serving.gateway.errors import RequestError, public
from serving.gateway.sampling import engine_fields, openai_fields, reply_room, stops
from serving.gateway.schemas.chat import ChatRequest
from serving.gateway.schemas.objects import ChatCompletion, ChatCompletionChunk
from serving.pool.lease import Lease

router = APIRouter(prefix="/v1", tags=["chat"])

_PATH = "/v1/completions"


@router.post(
    "/chat/completions",
    response_model=ChatCompletion,
    responses=streamed(ChatCompletionChunk) | refusals(400, 404, 422, 429, 503),
)
async def chat(body: ChatRequest, request: Request) -> Response:
    """The assistant's next message, whole or as server-sent events."""
    async with asking(request, body.model) as asked:
        prompt = await chat_prompt(body.messages, asked.lease, tools.offered(body))
        if tools.calling(body) == "auto":
            await require_readable_calls(prompt.ids, asked.lease)
        question = question_of(body, asked.lease, prompt)
        try:
            return await _answer(body, asked, question)
        except UpstreamRefusal as refusal:
            if "structured_outputs" not in question:
                raise
            raise RequestError(
                f"This model's engine cannot hold an answer to that form: "
                f"{public(refusal.message)}",
                param="response_format" if body.json_format else "tools",
            ) from refusal


async def _answer(body: ChatRequest, asked: Asking, question: dict[str, Any]) -> Response:
    if body.stream:
        shell = envelope("chat.completion.chunk", "chatcmpl", asked.model)
        return await asked.stream(_chunks(asked.chunks(_PATH, question), shell, body))
    answer = await asked.whole(_PATH, question)
    shell = envelope("chat.completion", "chatcmpl", asked.model)
    choices = [_choice(choice, body) for choice in answer["choices"]]
    return asked.answer(shell | {"choices": choices, "usage": usage(answer["usage"])})


def question_of(body: ChatRequest, lease: Lease, prompt: ChatPrompt) -> dict[str, Any]:
    """What the engine is asked.

    An answer in JSON ends where its grammar ends it: the contract's stops, its length and its
    penalty for repeating are made for prose and would only break it.
    """
    contract = lease.model.contract
    form = body.json_format
    if tools.calling(body) == "asked":
        form = {"json": tools.asked_form(body)}
    otherwise = lease.context_length if form else contract.sampler.max_tokens
    wanted = body.max_completion_tokens or body.max_tokens
    question = (
        engine_fields(body, lease.model)
        | openai_fields(body, lease)
        | {
            "prompt": prompt.ids,
            "max_tokens": reply_room(prompt.ids, wanted, otherwise, lease.context_length),
            "stop": stops(body.stop, [] if form else prompt.stops),
        }
    )
    if body.logprobs:
        question["logprobs"] = body.top_logprobs or 0
    if form:
        question["structured_outputs"] = form
        if body.repetition_penalty is None:
            question["repetition_penalty"] = 1.0
    return question


def _choice(raw: dict[str, Any], body: ChatRequest) -> dict[str, Any]:
    reader = tools.reader(body)
    deltas = reader.feed(raw["text"])
    rest, reason = reader.end(raw["finish_reason"])
    return {
        "index": raw["index"],
        "message": tools.whole_message(deltas + rest),
        "logprobs": _logprobs(chat_logprobs(raw["logprobs"], body.top_logprobs or 0), body),
        "finish_reason": reason,
    }


def _logprobs(tokens: list[dict[str, Any]], body: ChatRequest) -> dict[str, Any] | None:
    return {"content": tokens, "refusal": None} if body.logprobs else None


async def _chunks(
    answers: AsyncGenerator[dict[str, Any], None], shell: dict[str, Any], body: ChatRequest
) -> AsyncGenerator[dict[str, Any], None]:
    """OpenAI's chunks: the role first, then text, then an empty delta with the finish reason."""
    if body.include_usage:
        shell = shell | {"usage": None}
    readers: dict[int, tools.Reader] = {}
    # Of tokens whose text is held back or belongs to the format: they go with what comes next.
    waiting: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)

    def chunk(index: int, delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        tokens = waiting.pop(index, None)
        logprobs = _logprobs(tokens, body) if tokens else None
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": reason}
        return shell | {"choices": [choice]}

    async with aclosing(answers) as chunks:
        async for raw in chunks:
            for choice in raw["choices"]:
                index, reason = choice["index"], choice["finish_reason"]
                if index not in readers:
                    readers[index] = tools.reader(body)
                    yield chunk(index, {"role": "assistant", "content": "", "refusal": None})
                waiting[index] += chat_logprobs(choice["logprobs"], body.top_logprobs or 0)
                deltas = readers[index].feed(choice["text"])
                if reason:
                    rest, reason = readers[index].end(reason)
                    deltas += rest
                for delta in deltas:
                    yield chunk(index, delta)
                if reason:
                    yield chunk(index, {}, reason)
            if not raw["choices"] and body.include_usage:
                yield shell | {"choices": [], "usage": usage(raw["usage"])}
