"""The serving process, as the command line uses it: started, waited for, stopped; asked by HTTP."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx
from rich.console import Console

from lmft.errors import EngineError, EngineMissingError, LmftError, NotFoundError, PortTakenError
from lmft.machine import has_vllm
from lmft.processes import PARENT_KEY_VARIABLE, PARENT_VARIABLE

DEFAULT_PORT = 8321
_POLL_SECONDS = 0.25


def server_command(
    port: int,
    *,
    host: str = "127.0.0.1",
    model: str | None = None,
    ui: bool = True,
    worker: bool = True,
    memory_gib: float | None = None,
    slots: int | None = None,
) -> list[str]:
    command = [sys.executable, "-P", "-m", "serving", "--host", host, "--port", str(port)]
    command += ["--model", model] if model else []
    command += [] if memory_gib is None else ["--memory-gib", str(memory_gib)]
    command += [] if slots is None else ["--slots", str(slots)]
    command += [] if ui else ["--no-ui"]
    return command if worker else [*command, "--no-worker"]


def require_vllm() -> None:
    if not has_vllm():
        raise EngineMissingError(
            "vLLM is not installed in this environment.",
            "Run `make setup`, or pip install lmft[cpu] (lmft[gpu] with an NVIDIA GPU).",
        )


def require_port(port: int, host: str = "127.0.0.1") -> None:
    """Raise PortTakenError when somebody listens on `port` already."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise cannot_listen(host, port, error) from error


def cannot_listen(host: str, port: int, error: OSError) -> PortTakenError:
    """What went wrong with an address, in words: taken, not allowed, or not ours."""
    where = f"{host}:{port}"
    if error.errno == errno.EADDRINUSE:
        return PortTakenError(f"Port {port} is taken ({where}).", "Choose another one with --port.")
    reason = error.strerror or str(error)
    return PortTakenError(
        f"Cannot listen on {where}: {reason}.", "Choose another --host or --port."
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """A serving process at an address."""

    def __init__(
        self, url: str, process: subprocess.Popen[bytes] | None = None, key: str | None = None
    ) -> None:
        self.url = url
        self.process = process
        key = os.environ.get("LMFT_API_KEY") or key
        headers = {"authorization": f"Bearer {key}"} if key else {}
        # Whoever sits at a terminal waits for an engine that must first start.
        headers["prefer"] = "wait=300"
        self.http = httpx.Client(base_url=url, headers=headers, timeout=600)

    @contextlib.contextmanager
    def _asking(self) -> Iterator[None]:
        """Raises EngineError: the server went away, or what answers there is none of ours."""
        try:
            yield
        except (httpx.TransportError, ValueError) as error:
            reason = str(error) or type(error).__name__
            raise EngineError(f"{self.url} does not answer: {reason}.") from error

    def wait_ready(self, console: Console) -> None:
        """Show what it does until it can answer.

        Raises:
            EngineError: it ended; its own error line is on the terminal already.
        """
        with console.status("  starting the server") as shown:
            while True:
                with contextlib.suppress(httpx.TransportError):
                    state = self.http.get("/readyz", timeout=5).json()
                    if state["status"] == "ready":
                        return
                    shown.update(f"  {state['phase']}")
                if self.process is not None and self.process.poll() is not None:
                    error = EngineError("The server did not start; the line above says why.")
                    error.exit_code = self.process.returncode or 1
                    raise error
                time.sleep(_POLL_SECONDS)

    def models(self) -> list[dict[str, Any]]:
        with self._asking():
            return list(self._json(self.http.get("/v1/models"))["data"])

    def complete(self, model: str, prompt: str, **fields: Any) -> str:
        body = {"model": model, "prompt": prompt, **fields}
        with self._asking():
            answer = self._json(self.http.post("/v1/completions", json=body))
        return str(answer["choices"][0]["text"])

    def play(
        self, model: str, turns: list[dict[str, str]], **fields: Any
    ) -> Iterator[dict[str, Any]]:
        """The events of one turn; see docs/api.md."""
        body = {"model": model, "turns": turns, **fields}
        with self._asking(), self.http.stream("POST", "/v1/lmft/play", json=body) as response:
            if response.status_code != 200:
                response.read()
                self._json(response)
            for line in response.iter_lines():
                if line.startswith("data: {"):
                    event: dict[str, Any] = json.loads(line.removeprefix("data: "))
                    if "error" in event:
                        raise EngineError(event["error"]["message"])
                    yield event

    @staticmethod
    def _json(response: httpx.Response) -> dict[str, Any]:
        body: dict[str, Any] = response.json()
        if response.status_code == 404:
            raise NotFoundError(body["error"]["message"])
        if response.status_code != 200:
            raise LmftError(body["error"]["message"])
        return body


@contextlib.contextmanager
def running_server(port: int, *, model: str | None, ui: bool) -> Iterator[Server]:
    """A server of our own on loopback, gone when the block ends or this process dies."""
    key = secrets.token_urlsafe(32)
    process = subprocess.Popen(
        # Who only plays in a terminal does not mean to train what waits.
        server_command(port, model=model, ui=ui, worker=ui),
        env={**os.environ, PARENT_VARIABLE: str(os.getpid()), PARENT_KEY_VARIABLE: key},
        # Ctrl-C goes to this process, which ends the server in order.
        start_new_session=True,
    )
    server = Server(f"http://127.0.0.1:{port}", process, key)
    try:
        yield server
    finally:
        server.http.close()
        process.terminate()
        try:
            process.wait(timeout=40)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def find_server(url: str | None) -> Server | None:
    """The server at `url`, or at the default address if one answers there."""
    server = Server(url or f"http://127.0.0.1:{DEFAULT_PORT}")
    try:
        if "status" in server.http.get("/healthz", timeout=2).json():
            return server
    except (httpx.TransportError, ValueError):
        pass
    server.http.close()
    if url is not None:
        raise NotFoundError(f"No lmft server answers at {url}.", "Start one with `lmft serve`.")
    return None
