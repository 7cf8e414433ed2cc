"""The tokens of a prompt as text, one by one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from serving.gateway.errors import RequestError
from serving.pool.lease import Lease

# To make so many, and to write them as JSON, takes a moment; millions would take seconds.
MAX_PIECES = 65_536
# More than this would hold up every other stream for a noticeable time.
_MANY = 10_000


async def pieces(tokens: Sequence[int], lease: Lease) -> list[str]:
    """The text of each token; many are made beside the event loop.

    Raises:
        RequestError: `context_length_exceeded`, for more than the context and MAX_PIECES.
    """
    if len(tokens) > max(lease.context_length, MAX_PIECES):
        raise RequestError(
            f"This model's context is {lease.context_length} tokens; the prompt has {len(tokens)}.",
            f"Ask for parts of at most {MAX_PIECES} tokens.",
            code="context_length_exceeded",
        )

    def made() -> list[str]:
        known = {token: lease.encoder.piece(token) for token in set(tokens)}
        return [known[token] for token in tokens]

    return await asyncio.to_thread(made) if len(tokens) > _MANY else made()
