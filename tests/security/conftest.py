"""A real server that asks for keys, in a home of its own: a key in the tests' common home would
close the server that they share."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from lmft.store.database import open_store
from lmft.store.keys import Keys
from tests.conftest import ROOT, START_SECONDS, free_port


@dataclass(frozen=True)
class Keyed:
    """Attributes:
    app: a key with the scopes that keys have by default. metrics: one for /metrics only.
    elsewhere: a key for a model that there is not. pages: one for the pages.
    revoked: one that was revoked.
    """

    url: str
    port: int
    home: Path
    app: str
    metrics: str
    elsewhere: str
    pages: str
    revoked: str

    def client(self, key: str | None = None) -> httpx.Client:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=START_SECONDS)


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    """Up as soon as it answers at all: who may come in does not wait for an engine."""
    home, port = tmp_path_factory.mktemp("keyed"), free_port()

    store = open_store(home / "lmft.db")
    keys = Keys(store)
    made = Keyed(
        url=f"http://127.0.0.1:{port}",
        port=port,
        home=home,
        app=keys.create("app")[1],
        metrics=keys.create("metrics", ["metrics"])[1],
        elsewhere=keys.create("elsewhere", models=["ft:embedded:me:elsewhere"])[1],
        pages=keys.create("pages", ["pages"])[1],
        revoked=keys.create("revoked")[1],
    )
    keys.revoke("revoked")
    store.close()
    process = subprocess.Popen(
        [sys.executable, "-m", "serving", "--port", str(port)],
        cwd=ROOT,
        env={**os.environ, "LMFT_HOME": str(home)},
    )
    try:
        wait_alive(made.url, process)
        yield made
    finally:
        process.terminate()
        process.wait(timeout=START_SECONDS)


def wait_alive(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the server ended with {process.returncode}"
        try:
            if httpx.get(f"{url}/healthz", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError("the server does not answer")
