"""Shared by all tests: a data directory of our own, and the expensive real things, once a session.

`adapters` trains two real adapters through the real command; `gateway` starts the real server
with the real vLLM on them. Both take part of a minute, so they are made once, and only when a
test asks.
"""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).resolve().parent.parent
# Set before anything of lmft is imported; child processes inherit it.
_HOME = tempfile.TemporaryDirectory(prefix="lmft-tests-")
os.environ["LMFT_HOME"] = _HOME.name
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.pop("LMFT_API_KEY", None)
os.environ.pop("LMFT_DATABASE_URL", None)

pytest_plugins = ["tests.postgres"]

# Ten times what the slowest machine seen needs: a hang fails, slowness does not.
START_SECONDS = 600


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if importlib.util.find_spec("vllm") is None:
        missing = pytest.mark.skip(reason="vLLM is not installed: NOTHING THAT SERVES IS TESTED")
        for item in items:
            if item.get_closest_marker("engine"):
                item.add_marker(missing)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    from lmft.machine import gpus

    if not gpus():
        terminalreporter.write_line("not tested here, for want of an NVIDIA GPU: the CUDA path")


@dataclass(frozen=True)
class Gateway:
    """A running server.

    Attributes:
        adapter_id: the adventure. character_id: the innkeeper. Both over the base `embedded`.
    """

    url: str
    adapter_id: str
    character_id: str
    process: subprocess.Popen[bytes]

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=START_SECONDS)


@dataclass(frozen=True)
class Adapters:
    adventure: str
    character: str


def run_lmft(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The real command, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "lmft.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        env={**os.environ, **environment},
        cwd=ROOT,
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def adapters() -> Adapters:
    """Two adapters from `lmft train`: real NF4, real LoRA, few steps."""
    from lmft.registry.adapters import list_adapters

    short = ("--set", "training.epochs=0.3", "--set", "format.sampler.max_tokens=24")
    for recipe in ("adventure", "character"):
        done = run_lmft("train", recipe, *short)
        assert done.returncode == 0, done.stdout + done.stderr
    by_kind = {adapter.contract.kind: str(adapter.id) for adapter in list_adapters()}
    return Adapters(by_kind["adventure"], by_kind["chat"])


@pytest.fixture(scope="session")
def gateway(adapters: Adapters) -> Iterator[Gateway]:
    """The real server: vLLM, gateway and pages."""
    port = free_port()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "serving"),
            *("--port", str(port), "--model", adapters.adventure),
        ],
        cwd=ROOT,
    )
    running = Gateway(f"http://127.0.0.1:{port}", adapters.adventure, adapters.character, process)
    try:
        wait_ready(running.url, process)
        yield running
    finally:
        process.terminate()
        process.wait(timeout=START_SECONDS)


def wait_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the server ended with {process.returncode}"
        try:
            if httpx.get(f"{url}/readyz", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise AssertionError("the server did not become ready")
