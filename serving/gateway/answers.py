"""What vLLM says -> OpenAI's objects, with the public model id and nothing of the engine's own."""

from __future__ import annotations

import json
import secrets
import time
from typing import Any

from serving.engine.live import ServedModel

DONE = "data: [DONE]\n\n"


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


def event(data: dict[str, Any]) -> str:
    # ASCII: many clients tear a line at U+2028 and its like.
    return f"data: {json.dumps(data)}\n\n"
