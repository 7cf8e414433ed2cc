"""POST /v1/chat/completions: messages, rendered by the adapter's own format contract.

Where the base has no chat tokens the conversation is plain `Name: text` lines and goes to the
engine as a completion; where it has, the engine renders it with the base's own template, the
one that training used.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from lmft.corpus.cast import speaker_name
from lmft.corpus.documents import Message, Role
from lmft.format.contract import FormatContract, default_stops
from lmft.format.fold import fold_quotes
from lmft.format.render import render_chat_prompt
from lmft.play.actions import Mode
from lmft.play.story import Turn, render_story
from serving.engine.live import ServedModel
from serving.gateway.answers import envelope, usage
from serving.gateway.asking import asking
from serving.gateway.sampling import engine_fields, prompt_ids, reply_room, stops
from serving.gateway.schemas import ChatMessage, ChatRequest, openai_fields
from serving.pool.lease import Lease

router = APIRouter(prefix="/v1")


@router.post("/chat/completions")
async def chat(body: ChatRequest, request: Request) -> Response:
    async with asking(request, body.model) as asked:
        path, question = _question(body, asked.lease)
        if body.stream:
            shell = envelope("chat.completion.chunk", "chatcmpl", asked.model)
            chunks = asked.chunks(path, question)
            return await asked.stream(_chunks(chunks, shell, body.include_usage))
        answer = await asked.whole(path, question)
        shell = envelope("chat.completion", "chatcmpl", asked.model)
        choices = [_choice(choice) for choice in answer["choices"]]
        return asked.answer(shell | {"choices": choices, "usage": usage(answer["usage"])})


def _choice(raw: dict[str, Any]) -> dict[str, Any]:
    return {
        "index": raw["index"],
        "message": {"role": "assistant", "content": _text(raw).strip(), "refusal": None},
        "logprobs": None,
        "finish_reason": raw["finish_reason"],
    }


def _question(body: ChatRequest, lease: Lease) -> tuple[str, dict[str, Any]]:
    model = lease.model
    wanted = body.max_completion_tokens or body.max_tokens
    common = (
        engine_fields(body, model) | openai_fields(body) | {"stop": _stops(body, model.contract)}
    )
    if model.contract.chat_template == "base":
        messages = [_for_engine(message, model) for message in body.messages]
        limit = wanted or model.contract.sampler.max_tokens
        return "/v1/chat/completions", common | {"messages": messages, "max_tokens": limit}
    prompt = _rendered(body, model.contract)
    ids = prompt_ids(prompt, model.contract, lease.encoder, begins=True)
    limit = reply_room(ids, wanted, model.contract, lease.context_length)
    return "/v1/completions", common | {"prompt": ids, "max_tokens": limit}


def _stops(body: ChatRequest, contract: FormatContract) -> list[str]:
    if contract.kind == "base" and body.stop is None:
        return list(default_stops("chat", None))
    return stops(body.stop, contract)


def _rendered(body: ChatRequest, contract: FormatContract) -> str:
    """A narrator gets a story in which the user acts, every other model `Name: text` lines."""
    if contract.kind in ("chat", "instruct", "base"):
        return render_chat_prompt([_message(message) for message in body.messages], contract)
    mode: Mode = "do" if contract.kind == "adventure" else "story"
    turns = [
        Turn("player" if message.role == "user" else "narrator", message.text, mode)
        for message in body.messages
    ]
    if turns[0].by == "player" and contract.opening:
        turns.insert(0, Turn("narrator", contract.opening))
    return render_story(turns, contract)


def _message(message: ChatMessage) -> Message:
    role: Role = "system" if message.role == "developer" else message.role
    # A name stands before its turn, as in a script that was learnt: one line, no colon.
    return Message(role, message.text, name=speaker_name(message.name) if message.name else None)


def _for_engine(message: ChatMessage, model: ServedModel) -> dict[str, str]:
    text = fold_quotes(message.text) if model.contract.fold_quotes else message.text
    return {"role": _message(message).role, "content": text}


async def _chunks(
    answers: AsyncGenerator[dict[str, Any], None], shell: dict[str, Any], include_usage: bool
) -> AsyncGenerator[dict[str, Any], None]:
    """OpenAI's chunks: the role first, then text, then an empty delta with the finish reason."""
    begun: set[int] = set()
    async with aclosing(answers) as chunks:
        async for chunk in chunks:
            for choice in chunk["choices"]:
                index, text = choice["index"], _text(choice)
                if index not in begun:
                    # The space that follows `Name:` belongs to the format, not to the reply.
                    if text := text.lstrip():
                        begun.add(index)
                        yield shell | _delta(index, {"role": "assistant", "content": text})
                elif text:
                    yield shell | _delta(index, {"content": text})
                if choice["finish_reason"]:
                    yield shell | _delta(index, {}, choice["finish_reason"])
            if not chunk["choices"] and include_usage:
                yield shell | {"choices": [], "usage": usage(chunk["usage"])}


def _text(choice: dict[str, Any]) -> str:
    """The text of a completion or chat choice, whole or streamed."""
    if "text" in choice:
        return str(choice["text"])
    return str((choice.get("delta") or choice.get("message") or {}).get("content") or "")


def _delta(index: int, delta: dict[str, str], finish_reason: str | None = None) -> dict[str, Any]:
    choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return {"choices": [choice]}
