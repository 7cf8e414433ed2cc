"""POST /v1/lmft/tokenize and /v1/lmft/detokenize: what the model would see of a text.

By the rules of training: quotes folded where the base knows only straight ones, the start token
where a document has it, a special token's text as text.
"""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from serving.gateway import answers
from serving.gateway.asking import leased
from serving.gateway.chat_prompt import chat_prompt
from serving.gateway.documents import refusals
from serving.gateway.pieces import pieces
from serving.gateway.sampling import check_tokens, encoded, prompt_ids
from serving.gateway.schemas.objects import Detokenized, Tokenized
from serving.gateway.schemas.tokens import DetokenizeRequest, TokenizeRequest
from serving.pool.lease import Lease

router = APIRouter(prefix="/v1/lmft", tags=["tokenization"])


@router.post("/tokenize", response_model=Tokenized, responses=refusals(400, 404, 422, 429, 503))
async def tokenize(body: TokenizeRequest, request: Request) -> JSONResponse:
    """The tokens with which a completion of `prompt`, or a chat of `messages`, would be asked."""
    async with leased(request, body.model) as taken:
        lease = taken.lease
        tokens = await _tokens(body, lease)
        return JSONResponse(
            {
                "tokens": tokens,
                "pieces": await pieces(tokens, lease),
                "count": len(tokens),
                "context_length": lease.context_length,
            },
            headers=answers.headers(lease.model),
        )


async def _tokens(body: TokenizeRequest, lease: Lease) -> list[int]:
    if body.messages is not None:
        return (await chat_prompt(body.messages, lease, body.tools or [])).ids
    text, contract = body.prompt or "", lease.model.contract
    return await encoded(lambda: prompt_ids(text, contract, lease.encoder, begins=False), len(text))


@router.post("/detokenize", response_model=Detokenized, responses=refusals(400, 404, 422, 429, 503))
async def detokenize(body: DetokenizeRequest, request: Request) -> JSONResponse:
    """The text of tokens; special tokens have none."""
    async with leased(request, body.model) as taken:
        lease = taken.lease
        check_tokens(body.tokens, lease.encoder, "tokens")
        text = await encoded(lambda: lease.encoder.decode(body.tokens), len(body.tokens))
        return JSONResponse({"text": text}, headers=answers.headers(lease.model))
