"""A server as `lmft serve` starts it, and the way to the engine behind it, for comparison."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from bench.served.load import ROOT, Target
from lmft.processes import PARENT_VARIABLE
from lmft.server import free_port

_START_SECONDS = 600


@dataclass(frozen=True)
class Running:
    """A server that answers at `target`."""

    target: Target
    process: subprocess.Popen[bytes]

    def engines(self) -> list[int]:
        """Process ids of the vLLM servers behind the gateway."""
        return [pid for pid in family(self.process.pid) if _argument(pid, "--uds=") is not None]

    def engine(self) -> Target:
        """The first engine itself, past the gateway: its socket and key are this user's to read."""
        pid = self.engines()[0]
        socket = _argument(pid, "--uds=")
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        key = next(
            entry.removeprefix(b"VLLM_API_KEY=").decode()
            for entry in environment
            if entry.startswith(b"VLLM_API_KEY=")
        )
        return Target("http://engine", socket, key)

    def engine_models(self) -> dict[str, str]:
        """Key of each adapter that the engine has loaded -> the name it has there."""
        target = self.engine()
        with httpx.Client(transport=httpx.HTTPTransport(uds=target.socket)) as http:
            answer = http.get(
                "http://engine/v1/models", headers={"authorization": f"Bearer {target.key}"}
            )
        names = [entry["id"] for entry in answer.json()["data"]]
        return {name.partition("-")[0]: name for name in names}


@contextlib.contextmanager
def serving(*arguments: str, **environment: str) -> Iterator[Running]:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "serving", "--port", str(port), "--no-ui", *arguments],
        cwd=ROOT,
        # However the bench ends, the server does too.
        env={**os.environ, PARENT_VARIABLE: str(os.getpid()), **environment},
    )
    running = Running(Target(f"http://127.0.0.1:{port}"), process)
    try:
        _wait_ready(running)
        yield running
    finally:
        process.terminate()
        process.wait(timeout=120)


def _wait_ready(running: Running) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if running.process.poll() is not None:
            raise RuntimeError(f"the server ended with {running.process.returncode}")
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{running.target.url}/readyz", timeout=5).status_code == 200:
                return
        time.sleep(0.2)
    raise RuntimeError("the server did not become ready")


def family(pid: int) -> list[int]:
    """A process and all its descendants, from /proc."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def _argument(pid: int, prefix: str) -> str | None:
    with contextlib.suppress(OSError):
        for part in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
            if part.startswith(prefix.encode()):
                return part.decode().removeprefix(prefix)
    return None
