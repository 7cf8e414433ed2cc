"""POST /v1/lmft/play: one turn, rendered and trimmed by the format contract."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from lmft.format.trim import trim_reply
from lmft.play.story import Prompt, Turn, build_prompt
from serving.gateway.answers import usage
from serving.gateway.asking import asking
from serving.gateway.documents import events, refusals
from serving.gateway.errors import RequestError
from serving.gateway.sampling import encoded, engine_fields, prompt_ids, text_ids
from serving.gateway.schemas.objects import PlayEvent
from serving.gateway.schemas.requests import PlayRequest
from serving.pool.lease import Lease
from serving.pool.served import ServedModel

router = APIRouter(prefix="/v1/lmft", tags=["play"])

_CONTINUE_MIN_TOKENS = 8
# Of a prompt: the one that documents start with.
_START_TOKENS = 1


@router.post(
    "/play",
    response_class=Response,
    responses=events(PlayEvent) | refusals(400, 404, 422, 429, 503),
)
async def play(body: PlayRequest, request: Request) -> Response:
    """One turn of a story or a character, as server-sent events."""
    async with asking(request, body.model) as asked:
        n_characters = sum(len(turn.text) for turn in body.turns)
        prompt, question = await encoded(lambda: question_of(body, asked.lease), n_characters)
        chunks = asked.chunks("/v1/completions", question)
        return await asked.stream(_events(chunks, prompt, asked.model))


def question_of(body: PlayRequest, lease: Lease) -> tuple[Prompt, dict[str, Any]]:
    """The prompt as it was fitted, and what the engine is asked."""
    model, contract = lease.model, lease.model.contract
    wanted = min(body.max_tokens or contract.sampler.max_tokens, lease.context_length // 2)
    turns = [Turn(turn.by, turn.text, turn.mode) for turn in body.turns]
    try:
        prompt = build_prompt(
            turns,
            contract,
            count_tokens=lambda text: len(text_ids(text, contract, lease.encoder)),
            room_tokens=lease.context_length - wanted - _START_TOKENS,
        )
    except ValueError as error:
        message = str(error)
        raise RequestError(
            message[:1].upper() + message[1:] + ".",
            "Start a new story or shorten the last turn.",
            code="context_length_exceeded",
        ) from error
    question = engine_fields(body, model) | {
        # The opening is never dropped: the prompt begins as the story does.
        "prompt": prompt_ids(prompt.text, contract, lease.encoder, begins=True),
        "max_tokens": wanted,
        "stop": list(contract.stop),
    }
    if prompt.continues and contract.kind not in ("chat", "instruct"):
        # Nearly every paragraph of an adventure ends by handing over to the player. Asked to go
        # on, the narrator stays in the paragraph: no line end, no early end of text.
        question |= {
            "logit_bias": {str(token): -100 for token in lease.encoder.line_end_ids},
            "min_tokens": min(_CONTINUE_MIN_TOKENS, wanted),
        }
    return prompt, question


async def _events(
    answers: AsyncGenerator[dict[str, Any], None], prompt: Prompt, model: ServedModel
) -> AsyncGenerator[dict[str, Any], None]:
    """The events that docs/api.md describes."""
    raw, finish_reason, counted, unsaid = "", None, None, prompt.player_line
    async with aclosing(answers) as chunks:
        async for chunk in chunks:
            # Only now: a request that the engine refuses must be a plain error response.
            if unsaid:
                yield {"type": "turn", "text": unsaid}
                unsaid = ""
            counted = usage(chunk.get("usage")) or counted
            for choice in chunk["choices"]:
                finish_reason = choice["finish_reason"] or finish_reason
                if text := choice["text"]:
                    raw += text
                    yield {"type": "delta", "text": text}
    reply = trim_reply(raw, model.contract, ran_out=finish_reason == "length")
    yield {
        "type": "done",
        "text": reply.text,
        "finish_reason": finish_reason,
        "model": model.id,
        "adapter": model.fingerprint,
        "dropped_turns": prompt.dropped_turns,
        "usage": counted,
    }
