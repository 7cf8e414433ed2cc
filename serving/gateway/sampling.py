"""Request + format contract -> what vLLM is asked: tokens, sampler values, stops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lmft.dataset.encode import Encoder
from lmft.format.contract import FormatContract
from lmft.format.fold import fold_quotes
from serving.engine.live import ServedModel
from serving.gateway.errors import RequestError
from serving.gateway.schemas import _Sampling

MIN_REPLY_TOKENS = 16


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


def reply_room(
    ids: Sequence[int], wanted: int | None, contract: FormatContract, context_length: int
) -> int:
    """Tokens the reply may have: what was asked for, else the contract's, as far as they fit.

    Raises:
        RequestError: `context_length_exceeded`, when what was asked for does not fit.
    """
    room = context_length - len(ids)
    if wanted is None and room >= 1:
        return min(contract.sampler.max_tokens, room)
    if wanted is None or wanted > room:
        asked = f" and {wanted} for the answer" if wanted else ""
        raise RequestError(
            f"This model's context is {context_length} tokens; the prompt has {len(ids)}{asked}.",
            "Shorten the prompt or lower max_tokens.",
            code="context_length_exceeded",
        )
    return wanted


def engine_fields(request: _Sampling, model: ServedModel) -> dict[str, Any]:
    """Sampler values: the request's, and the contract's where it says nothing."""
    sampler = model.contract.sampler
    chosen = {
        "temperature": sampler.temperature if request.temperature is None else request.temperature,
        "top_p": sampler.top_p if request.top_p is None else request.top_p,
        "repetition_penalty": (
            sampler.repetition_penalty
            if request.repetition_penalty is None
            else request.repetition_penalty
        ),
    }
    return chosen | {"model": model.engine_name, "seed": request.seed}


def stops(given: str | list[str] | None, contract: FormatContract) -> list[str]:
    """The request's stops if it names any (an empty list is a choice too), else the contract's.

    A base model has none of its own: it was taught no turns.
    """
    if given is None:
        return [] if contract.kind == "base" else list(contract.stop)
    return [given] if isinstance(given, str) else given
