"""What vLLM says -> OpenAI's objects, with the public model id and nothing of the engine's own."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator, Sequence
from typing import Any

from serving.pool.served import ServedModel

DONE = "data: [DONE]\n\n"
_REPLACEMENT = "\ufffd"


def headers(model: ServedModel) -> dict[str, str]:
    return {"x-lmft-model": model.id, "x-lmft-adapter": model.fingerprint}


def envelope(kind: str, prefix: str, model: ServedModel) -> dict[str, Any]:
    """The fields that every answer and every chunk of one answer share."""
    return {
        "id": f"{prefix}-{secrets.token_hex(12)}",
        "object": kind,
        "created": int(time.time()),
        "model": model.id,
        "system_fingerprint": f"lmft-{model.fingerprint}",
    }


def usage(raw: dict[str, Any] | None) -> dict[str, int] | None:
    if raw is None:
        return None
    return {key: raw[key] for key in ("prompt_tokens", "completion_tokens", "total_tokens")}


def chat_logprobs(raw: dict[str, Any] | None, top: int) -> list[dict[str, Any]]:
    """The engine's log-probabilities (lists by token) in the shape of a chat (token by token).

    Args:
        top: how many alternatives of each token; the engine gives one more where the token
            itself is not among the most likely.
    """
    return [] if raw is None else list(_by_token(raw, top))


def _by_token(raw: dict[str, Any], top: int) -> Iterator[dict[str, Any]]:
    alternatives: Sequence[dict[str, float] | None] = raw["top_logprobs"]
    for token, logprob, others in zip(
        raw["tokens"], raw["token_logprobs"], alternatives, strict=True
    ):
        best = sorted((others or {}).items(), key=lambda item: item[1], reverse=True)[:top]
        yield _token(token, logprob) | {"top_logprobs": [_token(*other) for other in best]}


def _token(text: str, logprob: float) -> dict[str, Any]:
    """A token that is a part of a character has no text, and its bytes are not known here."""
    whole = _REPLACEMENT not in text
    return {"token": text, "logprob": logprob, "bytes": [*text.encode()] if whole else None}


def event(data: dict[str, Any]) -> str:
    # ASCII: many clients tear a line at U+2028 and its like.
    return f"data: {json.dumps(data)}\n\n"
