"""`python -m serving`: engine, gateway and pages in one place. `lmft serve` starts this."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys

import uvicorn

from lmft.errors import LmftError
from lmft.files.limits import max_file_bytes
from lmft.processes import PARENT_VARIABLE, die_with_parent
from lmft.server import cannot_listen
from lmft.store.care import require_whole
from lmft.store.database import open_store
from lmft.store.deployments import Deployments
from lmft.store.keys import Keys
from serving.engine.process import EngineProcess
from serving.gateway.access.access import access_to, require_key_beyond_loopback
from serving.gateway.access.protocol import BoundedHead
from serving.gateway.app import build_app
from serving.pool.catalog import Catalog
from serving.pool.memory import budget_bytes
from serving.pool.plan import Limits
from serving.pool.pool import Pool
from serving.watch.server import DrainingServer
from serving.watch.spoken import announce
from serving.watch.watch import Watch
from serving.worker import working

DRAIN_SECONDS = 30.0
HANG_SECONDS = 30.0
# Longer than clients keep an idle connection (httpx and so OpenAI's: 5 s): to ask over one in the
# moment in which the server closes it fails.
KEEP_ALIVE_SECONDS = 75


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
    parser.add_argument("--no-worker", action="store_true", help="train no jobs here")
    parser.add_argument(
        "--memory-gib",
        type=float,
        help="for all engines together; default: half of the free memory, 85%% of a GPU's",
    )
    parser.add_argument("--slots", type=int, default=4, help="adapters in one batch")
    parser.add_argument(
        "--resident", type=int, default=32, help="adapters that stay loaded, for each base"
    )
    parser.add_argument(
        "--hang-seconds",
        type=float,
        default=HANG_SECONDS,
        help="an engine that gives no token for so long is replaced",
    )
    parser.add_argument(
        "--drain-seconds",
        type=float,
        default=DRAIN_SECONDS,
        help="how long running requests may take once the server is told to end",
    )
    parser.add_argument(
        "--log-prompts",
        action="store_true",
        default=os.environ.get("LMFT_LOG_PROMPTS") == "1",
        help="write prompts and replies to the log too",
    )
    return parser.parse_args()


async def _serve(options: argparse.Namespace) -> int:
    require_key_beyond_loopback(options.host)
    store = open_store()
    require_whole(store)
    access = access_to(Keys(store))
    listener = bind(options.host, options.port)
    pool = Pool(
        Catalog(),
        Deployments(store),
        Limits(
            budget_bytes(options.memory_gib),
            options.slots,
            options.resident,
            options.hang_seconds,
        ),
        first=options.model,
        plain_base=options.base,
    )
    watch = Watch(drain_seconds=options.drain_seconds, log_texts=options.log_prompts)
    app = build_app(
        pool,
        watch,
        access,
        store,
        host=options.host,
        on_engine_end=lambda: _end(server),
    )
    host = "127.0.0.1" if options.host in ("0.0.0.0", "::") else options.host  # noqa: S104
    url = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"
    if not options.no_ui:
        from ui.app import mount

        mount(
            app,
            base_url=url,
            api_key=access.pages_key,
            login=access.pages_login,
            max_file_bytes=max_file_bytes(),
        )
    # uvicorn's own bound begins when nothing of the API is running any more: it is for pages.
    config = uvicorn.Config(
        app,
        http=BoundedHead,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=5,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
    server = DrainingServer(config, watch.drain, on_force=EngineProcess.hurry)
    # A command that started it speaks for it.
    speaking = (
        None
        if PARENT_VARIABLE in os.environ
        else asyncio.create_task(announce(pool, watch.drain, url, pages=not options.no_ui))
    )
    # The second signal may come while only the worker is left, which is ended last.
    with server.capture_signals():
        async with working(not options.no_worker, server.forced):
            await server.serve(sockets=[listener])
    if speaking is not None:
        speaking.cancel()
    if pool.failure is not None:
        raise pool.failure
    return 130 if server.stopped_by == signal.SIGINT else 0


def bind(host: str, port: int) -> socket.socket:
    """A listening socket, taken before anything slow starts."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Only of a socket that is said to be TCP does asyncio send small pieces at once. Else the first
    # token waits for the headers to be acknowledged: 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
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
