"""POST /v1/completions: raw continuation, with the contract's stops and sampler as defaults."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from serving.gateway.answers import envelope, usage
from serving.gateway.asking import asking
from serving.gateway.documents import refusals, streamed
from serving.gateway.sampling import (
    check_tokens,
    encoded,
    engine_fields,
    openai_fields,
    prompt_ids,
    raw_stops,
    reply_room,
    stops,
)
from serving.gateway.schemas.objects import Completion
from serving.gateway.schemas.requests import CompletionRequest
from serving.pool.lease import Lease

router = APIRouter(prefix="/v1", tags=["completions"])

_PATH = "/v1/completions"


@router.post(
    "/completions",
    response_model=Completion,
    responses=streamed(Completion) | refusals(400, 404, 422, 429, 503),
)
async def complete(body: CompletionRequest, request: Request) -> Response:
    """The continuation of one or several prompts, whole or as server-sent events."""
    async with asking(request, body.model) as asked:
        n_characters = sum(len(prompt) for prompt in body.prompts)
        question = await encoded(lambda: question_of(body, asked.lease), n_characters)
        shell = envelope("text_completion", "cmpl", asked.model)
        if body.stream:
            return await asked.stream(_chunks(asked.chunks(_PATH, question), shell, body))
        answer = await asked.whole(_PATH, question)
        choices = [_choice(choice, body) for choice in answer["choices"]]
        return asked.answer(shell | {"choices": choices, "usage": _usage(answer["usage"], body)})


def question_of(body: CompletionRequest, lease: Lease) -> dict[str, Any]:
    """What the engine is asked."""
    contract = lease.model.contract
    prompts = [_tokens(prompt, lease) for prompt in body.prompts]
    longest = max(prompts, key=len)
    return (
        engine_fields(body, lease.model)
        | openai_fields(body, lease)
        | {
            "prompt": prompts,
            "max_tokens": reply_room(
                longest, body.max_tokens, contract.sampler.max_tokens, lease.context_length
            ),
            "stop": stops(body.stop, raw_stops(contract)),
            "echo": body.echo,
            "logprobs": body.logprobs,
        }
    )


def _tokens(prompt: str | list[int], lease: Lease) -> list[int]:
    if isinstance(prompt, str):
        return prompt_ids(prompt, lease.model.contract, lease.encoder, begins=False)
    check_tokens(prompt, lease.encoder, "prompt")
    return prompt


async def _chunks(
    answers: AsyncGenerator[dict[str, Any], None], shell: dict[str, Any], body: CompletionRequest
) -> AsyncGenerator[dict[str, Any], None]:
    if body.include_usage:
        shell = shell | {"usage": None}
    async with aclosing(answers) as chunks:
        async for chunk in chunks:
            if chunk["choices"]:
                yield shell | {"choices": [_choice(choice, body) for choice in chunk["choices"]]}
            elif body.include_usage:
                yield shell | {"choices": [], "usage": _usage(chunk["usage"], body)}


def _choice(raw: dict[str, Any], body: CompletionRequest) -> dict[str, Any]:
    choice = {key: raw[key] for key in ("index", "text", "finish_reason")}
    return choice | {"logprobs": None if body.logprobs is None else raw["logprobs"]}


def _usage(raw: dict[str, Any], body: CompletionRequest) -> dict[str, int] | None:
    counted = usage(raw)
    if counted is not None and body.max_tokens == 0:
        # vLLM computes a token for each answer that it does not show, and counts it.
        counted |= {"completion_tokens": 0, "total_tokens": counted["prompt_tokens"]}
    return counted
