"""Server-sent events, from bytes to the payload of each event."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator


async def payloads(chunks: AsyncIterator[bytes]) -> AsyncGenerator[str, None]:
    """The data of each event, in order.

    Lines are split on bytes and on line feeds only. httpx's own `aiter_lines` also splits at
    U+2028 and other marks that JSON may carry unescaped inside a string, which would tear a
    model's text apart; and a character may be cut by a chunk's end.
    """
    buffer = b""
    data: list[str] = []
    async for chunk in chunks:
        *lines, buffer = (buffer + chunk).split(b"\n")
        for line in lines:
            line = line.removesuffix(b"\r")
            if line.startswith(b"data:"):
                data.append(line[5:].removeprefix(b" ").decode("utf-8"))
            elif not line and data:
                yield "\n".join(data)
                data = []
