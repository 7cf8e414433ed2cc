"""The socket that the server listens on."""

from __future__ import annotations

import asyncio
import socket

import pytest

from serving.__main__ import bind


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_small_pieces_of_a_stream_are_sent_at_once(host: str) -> None:
    """Else the first token waits 40 ms for the client to acknowledge the headers."""

    async def accepted() -> int:
        found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def meet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connection = writer.get_extra_info("socket")
            found.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        listener = bind(host, 0)
        async with await asyncio.start_server(meet, sock=listener):
            _, writer = await asyncio.open_connection(*listener.getsockname()[:2])
            nodelay = await found
            writer.close()
            await writer.wait_closed()
            return nodelay

    assert asyncio.run(accepted())
