"""Request + format contract -> what vLLM is asked: tokens, sampler values, stops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from lmft.dataset.encode import Encoder
from lmft.format.contract import FormatContract
from lmft.format.fold import fold_quotes
from serving.gateway.errors import RequestError
from serving.gateway.schemas.requests import OpenAISampling, Sampling
from serving.pool.lease import Lease
from serving.pool.served import ServedModel

# Encoding more than this would hold up every other stream for a noticeable time (about 2 MB/s).
_LONG_CHARACTERS = 20_000
_LEAST_TOP_P = 1e-6
_T = TypeVar("_T")


async def encoded(prepare: Callable[[], _T], n_characters: int) -> _T:
    """What `prepare` makes of a prompt; a long one is prepared beside the event loop."""
    return await asyncio.to_thread(prepare) if n_characters > _LONG_CHARACTERS else prepare()


def prompt_ids(
    prompt: str, contract: FormatContract, encoder: Encoder, *, begins: bool
) -> list[int]:
    """The prompt's tokens, by the rules of training: quotes folded, specials as plain text.

    Args:
        begins: the prompt is a document from its beginning, and so starts with the token that
            documents do. Any other starts with it only where the base wants it before all text.
    """
    ids = text_ids(prompt, contract, encoder)
    # vLLM wants something to start from.
    return [encoder.start_id, *ids] if begins or encoder.always_start or not ids else ids


def text_ids(text: str, contract: FormatContract, encoder: Encoder) -> list[int]:
    """The tokens of a piece of a prompt."""
    return encoder.text(fold_quotes(text) if contract.fold_quotes else text)


def reply_room(ids: Sequence[int], wanted: int | None, otherwise: int, context_length: int) -> int:
    """Tokens the reply may have: what was asked for, else `otherwise` as far as it fits.

    Raises:
        RequestError: `context_length_exceeded`, when what was asked for does not fit.
    """
    room = context_length - len(ids)
    if wanted is None and room >= 1:
        return min(otherwise, room)
    # vLLM computes one token even where only the prompt is asked for.
    if wanted is None or max(wanted, 1) > room:
        asked = f" and {wanted} for the answer" if wanted else ""
        raise RequestError(
            f"This model's context is {context_length} tokens; the prompt has {len(ids)}{asked}.",
            "Shorten the prompt or lower max_tokens." if wanted else "Shorten it.",
            code="context_length_exceeded",
        )
    return wanted


def engine_fields(request: Sampling, model: ServedModel) -> dict[str, Any]:
    """Sampler values: the request's, and the contract's where it says nothing."""
    sampler = model.contract.sampler
    top_p = sampler.top_p if request.top_p is None else request.top_p
    fields = {
        "model": model.engine_name,
        # -1 is none for vLLM and for many clients; our own engine would take it for a seed.
        "seed": None if request.seed == -1 else request.seed,
        "temperature": sampler.temperature if request.temperature is None else request.temperature,
        # OpenAI allows 0, which vLLM does not: the most likely token alone.
        "top_p": max(top_p, _LEAST_TOP_P),
        "repetition_penalty": (
            sampler.repetition_penalty
            if request.repetition_penalty is None
            else request.repetition_penalty
        ),
    }
    rare = {"top_k": request.top_k, "min_p": request.min_p}
    return fields | {key: value for key, value in rare.items() if value is not None}


def openai_fields(request: OpenAISampling, lease: Lease) -> dict[str, Any]:
    """The fields that go to the engine as they are.

    Raises:
        RequestError: several answers that could not differ; a bias on a token that is none.
    """
    sampler = lease.model.contract.sampler
    heat = sampler.temperature if request.temperature is None else request.temperature
    if request.n > 1 and heat == 0:
        raise RequestError(
            f"At temperature 0 all {request.n} answers are the same.",
            "Ask for n = 1, or raise the temperature.",
            param="n",
        )
    biased = {int(token): bias for token, bias in (request.logit_bias or {}).items()}
    check_tokens(biased, lease.encoder, "logit_bias")
    fields: dict[str, Any] = {
        "n": request.n,
        "presence_penalty": request.presence_penalty,
        "frequency_penalty": request.frequency_penalty,
    }
    if biased:
        fields["logit_bias"] = {str(token): bias for token, bias in biased.items()}
    return fields


def check_tokens(tokens: Iterable[int], encoder: Encoder, param: str) -> None:
    """Raises RequestError for a token that the base does not have."""
    if (highest := max(tokens, default=0)) >= encoder.vocab_size:
        raise RequestError(
            f"There is no token {highest}: the base's vocabulary has {encoder.vocab_size}.",
            param=param,
        )


def stops(given: str | list[str] | None, otherwise: Sequence[str]) -> list[str]:
    """The request's stops if it names any (an empty list is a choice too), else `otherwise`."""
    if given is None:
        return list(otherwise)
    return [given] if isinstance(given, str) else given


def raw_stops(contract: FormatContract) -> tuple[str, ...]:
    """Of a raw continuation. A base model has none: it was taught no turns."""
    return () if contract.kind == "base" else contract.stop
