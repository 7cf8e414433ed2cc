"""POST /v1/completions: raw continuation, with the contract's stops and sampler as defaults."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from serving.engine.live import ServedModel
from serving.gateway.answers import envelope, event_stream, headers, usage
from serving.gateway.errors import RequestError
from serving.gateway.sampling import engine_fields, prompt_ids, reply_room, stops
from serving.gateway.schemas import CompletionRequest, openai_fields
from serving.gateway.state import Gateway, gateway

router = APIRouter(prefix="/v1")


@router.post("/completions")
async def complete(body: CompletionRequest, request: Request) -> Response:
    state = gateway(request)
    model = await state.supervisor.require_ready().resolve(body.model)
    question = _question(body, model, state)
    client = state.supervisor.engine.client
    shell = envelope("text_completion", "cmpl", model)
    if body.stream:
        answers = client.stream("/v1/completions", question)
        return await event_stream(_chunks(answers, shell, body.include_usage), model)
    answer = await client.json("/v1/completions", question)
    choices = [_choice(choice) for choice in answer["choices"]]
    return JSONResponse(
        shell | {"choices": choices, "usage": usage(answer["usage"])}, headers=headers(model)
    )


def _question(body: CompletionRequest, model: ServedModel, state: Gateway) -> dict[str, Any]:
    prompts = _prompts(body, model, state)
    longest = max(prompts, key=len)
    return (
        engine_fields(body, model)
        | openai_fields(body)
        | {
            "prompt": prompts,
            "max_tokens": reply_room(
                longest, body.max_tokens, model.contract, state.context_length
            ),
            "stop": stops(body.stop, model.contract),
            "echo": body.echo,
            "logprobs": body.logprobs,
            "stream_options": {"include_usage": True} if body.stream else None,
        }
    )


def _prompts(body: CompletionRequest, model: ServedModel, state: Gateway) -> list[list[int]]:
    prompts: list[list[int]] = []
    given = body.prompt if isinstance(body.prompt, list) else [body.prompt]
    if given and isinstance(given[0], int):
        given = [given]
    for prompt in given:
        if isinstance(prompt, str):
            prompts.append(prompt_ids(prompt, model.contract, state.encoder, begins=False))
        elif isinstance(prompt, list) and prompt:
            if max(prompt) >= state.encoder.vocab_size:
                raise RequestError(f"The base's vocabulary has {state.encoder.vocab_size} tokens.")
            prompts.append(prompt)
        else:
            raise RequestError("A prompt as token ids must hold at least one.")
    return prompts


async def _chunks(
    answers: AsyncGenerator[dict[str, Any], None], shell: dict[str, Any], include_usage: bool
) -> AsyncGenerator[dict[str, Any], None]:
    async with aclosing(answers) as chunks:
        async for chunk in chunks:
            if chunk["choices"]:
                yield shell | {"choices": [_choice(choice) for choice in chunk["choices"]]}
            elif include_usage:
                yield shell | {"choices": [], "usage": usage(chunk["usage"])}


def _choice(raw: dict[str, Any]) -> dict[str, Any]:
    return {key: raw.get(key) for key in ("index", "text", "logprobs", "finish_reason")}
