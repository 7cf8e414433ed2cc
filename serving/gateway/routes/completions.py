"""POST /v1/completions: raw continuation, with the contract's stops and sampler as defaults."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from serving.gateway.answers import envelope, usage
from serving.gateway.asking import asking
from serving.gateway.errors import RequestError
from serving.gateway.sampling import engine_fields, prompt_ids, reply_room, stops
from serving.gateway.schemas import CompletionRequest, openai_fields
from serving.pool.lease import Lease

router = APIRouter(prefix="/v1")


@router.post("/completions")
async def complete(body: CompletionRequest, request: Request) -> Response:
    async with asking(request, body.model) as asked:
        question = _question(body, asked.lease)
        shell = envelope("text_completion", "cmpl", asked.model)
        if body.stream:
            chunks = asked.chunks("/v1/completions", question)
            return await asked.stream(_chunks(chunks, shell, body.include_usage))
        answer = await asked.whole("/v1/completions", question)
        choices = [_choice(choice) for choice in answer["choices"]]
        return asked.answer(shell | {"choices": choices, "usage": usage(answer["usage"])})


def _question(body: CompletionRequest, lease: Lease) -> dict[str, Any]:
    model, prompts = lease.model, _prompts(body, lease)
    longest = max(prompts, key=len)
    return (
        engine_fields(body, model)
        | openai_fields(body)
        | {
            "prompt": prompts,
            "max_tokens": reply_room(
                longest, body.max_tokens, model.contract, lease.context_length
            ),
            "stop": stops(body.stop, model.contract),
            "echo": body.echo,
            "logprobs": body.logprobs,
        }
    )


def _prompts(body: CompletionRequest, lease: Lease) -> list[list[int]]:
    prompts: list[list[int]] = []
    given = body.prompt if isinstance(body.prompt, list) else [body.prompt]
    if given and isinstance(given[0], int):
        given = [given]
    for prompt in given:
        if isinstance(prompt, str):
            prompts.append(prompt_ids(prompt, lease.model.contract, lease.encoder, begins=False))
        elif isinstance(prompt, list) and prompt:
            if max(prompt) >= lease.encoder.vocab_size:
                raise RequestError(f"The base's vocabulary has {lease.encoder.vocab_size} tokens.")
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
