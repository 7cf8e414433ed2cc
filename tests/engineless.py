"""The real server without an engine: this process has claimed the device, so it starts none.

All that needs no model (files, jobs, keys, health) answers within seconds.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import httpx
from openai import OpenAI

from lmft import machine
from lmft.device.hold import hold
from tests.conftest import ROOT, START_SECONDS, free_port


@dataclass
class Server:
    """Attributes:
    home: its data directory.
    """

    home: Path
    url: str
    process: subprocess.Popen[bytes]

    def client(self, key: str | None = None) -> httpx.Client:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=START_SECONDS)

    def openai(self, key: str = "none") -> OpenAI:
        return OpenAI(base_url=f"{self.url}/v1", api_key=key, timeout=START_SECONDS, max_retries=0)


@contextlib.contextmanager
def served(home: Path, *options: str, **environment: str) -> Iterator[Server]:
    """`python -m serving`, up as soon as it answers at all; ended, if it still runs, at the end."""
    port = free_port()
    kind = "cuda" if machine.gpus() else "cpu"
    with contextlib.ExitStack() as claimed:
        with mock.patch.dict(os.environ, LMFT_HOME=str(home)):
            claimed.enter_context(
                hold("a test", kind, need_bytes=1, seconds=86_400, alone=True, say=print)
            )
        process = subprocess.Popen(
            [sys.executable, "-m", "serving", "--no-ui", "--port", str(port), *options],
            cwd=ROOT,
            env={**os.environ, "LMFT_HOME": str(home), **environment},
        )
        try:
            wait_alive(f"http://127.0.0.1:{port}", process)
            yield Server(home, f"http://127.0.0.1:{port}", process)
        finally:
            process.terminate()
            process.wait(timeout=START_SECONDS)


def wait_alive(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the server ended with {process.returncode}"
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/healthz", timeout=5).status_code == 200:
                return
        time.sleep(0.05)
    raise AssertionError("the server does not answer")
