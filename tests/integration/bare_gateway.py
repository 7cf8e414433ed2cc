"""The gateway over a real store and a real socket, without engines: what jobs and files need."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn

from lmft.files.file import NewFile
from lmft.files.files import Files
from lmft.store.database import Store, open_store
from lmft.store.keys import Keys
from serving.gateway.access.access import access_to
from serving.gateway.access.protocol import BoundedHead
from serving.gateway.app import build_app
from serving.watch.watch import Watch
from tests.conftest import START_SECONDS, free_port

TALE = b"You wake on cold stone. Somewhere above you a bell rings twice and stops.\n" * 20


class NoModels:
    """A pool in which nothing is."""

    def listed(self) -> list[Any]:
        return []


@contextlib.contextmanager
def bare_gateway(home: Path) -> Iterator[tuple[str, Store]]:
    """Its URL and its store. Args: home: what LMFT_HOME is."""
    store, port = open_store(home / "lmft.db"), free_port()
    watch = Watch(drain_seconds=0, log_texts=False)
    pool: Any = NoModels()
    access = access_to(Keys(store), {})
    app = build_app(pool, watch, access, store, host="127.0.0.1", on_engine_end=lambda: None)
    config = uvicorn.Config(
        app, port=port, http=BoundedHead, log_level="warning", lifespan="off", access_log=False
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + START_SECONDS
    while not server.started:
        assert thread.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}", store
    finally:
        watch.drain.begin()
        server.should_exit = True
        thread.join(START_SECONDS)
        store.close()
        watch.log.close()


def uploaded(store: Store, project_id: int = 1, purpose: str = "fine-tune") -> str:
    """The id of a file of that project."""
    files = Files(store)
    staged = files.stage()
    try:
        staged.write(TALE)
        return files.take(staged, NewFile(project_id, purpose, "tale.txt")).id
    finally:
        staged.discard()
