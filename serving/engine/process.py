"""One engine as a child process, on a Unix socket, with a key nobody else knows."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import BinaryIO, ClassVar

from lmft import machine, paths
from lmft.errors import EngineError, EngineMissingError
from lmft.public import without_machine
from serving.engine.client import EngineClient
from serving.engine.refusals import UpstreamRefusal
from serving.engine.settings import EngineSettings

START_TIMEOUT_SECONDS = 900
CRASH_SECONDS = 5.0
STOP_SECONDS, HURRIED_STOP_SECONDS = 20.0, 2.0
_LOG_TAIL_BYTES = 20_000
_POLL_SECONDS, _STOP_POLL_SECONDS = 0.25, 0.05


class EngineProcess:
    """Starts an engine and is the only one who can talk to it.

    The socket lies in a directory that only this user can enter, since vLLM with run-time LoRA
    loads an adapter from any path it is told. `stop` leaves no process behind; if this process
    is killed, the child gets SIGTERM from the kernel (see child.py).

    Attributes:
        stop_seconds: that any engine has to end by itself.
    """

    stop_seconds: ClassVar[float] = STOP_SECONDS

    def __init__(self, settings: EngineSettings) -> None:
        if settings.program == "vllm" and not machine.has_vllm():
            raise EngineMissingError(
                "vLLM is not installed in this environment.",
                "Run `make setup`, or pip install lmft[cpu] (lmft[gpu] with an NVIDIA GPU).",
            )
        self.settings = settings
        self.log_path = paths.home() / "logs" / f"engine-{settings.name}.log"
        # Not under the data directory: a socket's path is limited to about 100 bytes.
        self._run_dir = Path(tempfile.mkdtemp(prefix="lmft-engine-"))
        self._key = secrets.token_urlsafe(32)
        self._process: subprocess.Popen[bytes] | None = None
        self.client = EngineClient(self._run_dir / "engine.sock", self._key)

    @property
    def pid(self) -> int | None:
        """Also the number of its session, in which all its processes are."""
        return self._process.pid if self._process else None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @classmethod
    def hurry(cls) -> None:
        """From here on all engines that are told to end, or have been, are killed after 2 s."""
        cls.stop_seconds = HURRIED_STOP_SECONDS

    async def start(self, on_progress: Callable[[str], None]) -> None:
        """Start the engine and wait until it has generated a token.

        Raises:
            EngineError: it died or did not answer in time; says the cause from its log.
        """
        with _opened(self.log_path) as log:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    # Never a module from the folder that somebody happens to stand in.
                    "-P",
                    "-m",
                    *self.settings.command(os.getpid(), self._run_dir / "engine.sock"),
                ],
                env=self.settings.environment(self._key),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A group of its own: Ctrl-C in the terminal reaches the gateway, which stops
                # the engine in order.
                start_new_session=True,
            )
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        on_progress("starting the engine")
        while not await self.client.healthy():
            self._check_alive()
            if time.monotonic() > deadline:
                raise self._silent()
            await asyncio.sleep(_POLL_SECONDS)
        on_progress("first token")
        try:
            await self.client.one_token(self.settings.alias, deadline - time.monotonic())
        except (EngineError, UpstreamRefusal) as error:
            late = time.monotonic() > deadline
            # What has crashed takes a moment to be gone.
            patience = time.monotonic() + CRASH_SECONDS
            while self.running and time.monotonic() < patience:
                await asyncio.sleep(_POLL_SECONDS)
            self._check_alive()
            if late:
                raise self._silent() from error
            refused = isinstance(error, UpstreamRefusal)
            cause = without_machine(error.message) if refused else self._cause()
            raise EngineError(
                f"The engine gave no token: {cause}", f"Its log: {self.log_path}."
            ) from error

    def _silent(self) -> EngineError:
        return EngineError(
            f"The engine gave no token within {START_TIMEOUT_SECONDS} s.",
            f"Its log: {self.log_path}.",
        )

    def _check_alive(self) -> None:
        if self._process is not None and (code := self._process.poll()) is not None:
            raise EngineError(
                f"The engine stopped while starting (exit code {code}): {self._cause()}",
                f"Its log: {self.log_path}.",
            )

    def _cause(self) -> str:
        """The last error line of the log, without paths: what a person would look for in it."""
        text = self.log_path.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace")
        lines = [line.strip() for line in text.splitlines() if "Error" in line]
        return without_machine(lines[-1][-300:]) if lines else "no error line in its log."

    async def stop(self, *, kill: bool = False) -> None:
        """SIGTERM to the group, then SIGKILL; afterwards nothing of the engine is left, even
        where this is cancelled.

        Args:
            kill: do not ask first: it would not listen.
        """
        await to_the_end(self._stop(kill))

    async def _stop(self, kill: bool) -> None:
        process = self._process
        try:
            await self.client.close()
            if process is not None and not kill:
                self._signal_group(signal.SIGTERM)
                told_at = time.monotonic()
                # Looked at again and again, since there may be a hurry meanwhile.
                while process.poll() is None and time.monotonic() - told_at < self.stop_seconds:
                    await asyncio.sleep(_STOP_POLL_SECONDS)
        finally:
            self._signal_group(signal.SIGKILL)
            if process is not None:
                await asyncio.to_thread(process.wait)
            self._process = None
            shutil.rmtree(self._run_dir, ignore_errors=True)

    def _signal_group(self, number: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


def _opened(log: Path) -> BinaryIO:
    """A new log, for this user only. That of the start before is kept: it says why it ended."""
    paths.make_dir(log.parent)
    if log.exists():
        log.replace(log.with_name(f"{log.name}.1"))
    return os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


async def to_the_end(work: Coroutine[None, None, None]) -> None:
    """Await `work`; one who is cancelled meanwhile is so only once it has ended."""
    task = asyncio.create_task(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled from task.exception()
    task.result()
