"""`python -m serving`: engine, gateway and pages in one place. `lmft serve` starts this."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import socket
import sys

import uvicorn

from lmft.errors import LmftError, UserError
from lmft.processes import PARENT_VARIABLE, die_with_parent
from lmft.server import cannot_listen
from serving.engine.supervisor import Supervisor
from serving.gateway.app import build_app
from serving.gateway.guard import is_loopback
from serving.pool.pool import Pool
from serving.select import select


def main() -> int:
    options = _parse()
    if parent := os.environ.get(PARENT_VARIABLE):
        die_with_parent(int(parent))
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    try:
        return asyncio.run(_serve(options))
    except LmftError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m serving", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8321)
    parser.add_argument("--model", help="adapter to have ready; default: the newest")
    parser.add_argument("--base", default="embedded", help="what to serve when there is no adapter")
    parser.add_argument("--no-ui", action="store_true", help="the HTTP API only")
    return parser.parse_args()


async def _serve(options: argparse.Namespace) -> int:
    api_key = os.environ.get("LMFT_API_KEY") or None
    if not is_loopback(options.host) and api_key is None:
        raise UserError(
            f"Refusing to listen on {options.host} without a key.",
            "Set LMFT_API_KEY, or stay on 127.0.0.1.",
        )
    chosen = select(options.model, options.base)
    listener = bind(options.host, options.port)
    supervisor = Supervisor(
        chosen.settings, chosen.served_base, chosen.variant, chosen.warm, strict=chosen.strict
    )
    app = build_app(
        Pool(supervisor, chosen.encoder, chosen.base.name),
        api_key=api_key,
        host=options.host,
        on_engine_end=lambda: _end(server),
    )
    if not options.no_ui:
        from ui.app import mount

        host = "127.0.0.1" if options.host in ("0.0.0.0", "::") else options.host  # noqa: S104
        address = f"[{host}]" if ":" in host else host
        port = listener.getsockname()[1]
        mount(app, base_url=f"http://{address}:{port}", api_key=api_key)
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=5)
    )
    await server.serve(sockets=[listener])
    if supervisor.failure is not None:
        raise supervisor.failure
    return 0


def bind(host: str, port: int) -> socket.socket:
    """A listening socket, taken before anything slow starts."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        # Listening now means that a client may connect before uvicorn is up, and waits.
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise cannot_listen(host, port, error) from error
    listener.set_inheritable(False)
    return listener


def _end(server: uvicorn.Server) -> None:
    server.should_exit = True


if __name__ == "__main__":
    sys.exit(main())
