"""Routes of OpenAI's that lmft does not have: refused by name, with what it has instead."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from serving.gateway.errors import RequestError

router = APIRouter(prefix="/v1")

_TEXT = "Its models write text: use /v1/completions or /v1/chat/completions."
_NOT_OFFERED = {
    "embeddings": ("embeddings", _TEXT),
    "responses": (
        "the Responses API",
        "It keeps no conversations: send the messages to /v1/chat/completions.",
    ),
    "conversations": (
        "stored conversations",
        "Send the whole of the messages to /v1/chat/completions.",
    ),
    "audio": ("audio", _TEXT),
    "images": ("images", _TEXT),
    "videos": ("videos", _TEXT),
    "realtime": ("the realtime API", "Use /v1/chat/completions with `stream`."),
    "moderations": ("moderation", _TEXT),
    "assistants": ("assistants", "Use /v1/chat/completions."),
    "threads": ("threads", "Use /v1/chat/completions."),
    "batches": ("batches", "Send the requests side by side; the engine batches them."),
    "vector_stores": ("vector stores", _TEXT),
    "fine_tuning/checkpoints": (
        "permissions of checkpoints",
        "Every key of the project may use them: `lmft keys create NAME --project PROJECT`.",
    ),
    "fine_tuning/alpha": (
        "graders",
        "Reinforcement fine-tuning is not offered: use `supervised`, or `dpo` on preferences.",
    ),
}


def _refusal(what: str, instead: str) -> Callable[[Request], Awaitable[JSONResponse]]:
    async def refuse(_: Request) -> JSONResponse:
        raise RequestError(f"lmft does not offer {what}.", instead, code="unsupported_route")

    return refuse


for _name, (_what, _instead) in _NOT_OFFERED.items():
    for _path in (f"/{_name}", f"/{_name}/{{rest:path}}"):
        router.add_api_route(
            _path,
            _refusal(_what, _instead),
            methods=["GET", "POST", "DELETE"],
            include_in_schema=False,
        )
