"""One vLLM server as a child process, on a Unix socket, with a key nobody else knows."""

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
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lmft import machine, paths
from lmft.errors import EngineError, EngineMissingError
from serving.engine.client import EngineClient

START_TIMEOUT_SECONDS = 900
STOP_TIMEOUT_SECONDS = 20
_LOG_TAIL_BYTES = 20_000


@dataclass(frozen=True)
class EngineSettings:
    """What one engine serves.

    Attributes:
        base_path: directory of the base variant. base_alias: the name it answers to.
        slots: adapters in one batch. max_rank: a slot's rank, one of lmft.train.servable.RANKS.
        kv_cache_gib: memory for keys and values on a CPU.
    """

    base_path: Path
    base_alias: str
    context_length: int
    max_rank: int
    slots: int = 4
    resident_adapters: int = 32
    kv_cache_gib: int = 1
    gpu_memory_share: float = 0.85


class EngineProcess:
    """Starts vLLM and is the only one who can talk to it.

    The socket lies in a directory that only this user can enter, since vLLM with run-time LoRA
    loads an adapter from any path it is told. `stop` leaves no process behind; if this process
    is killed, the child gets SIGTERM from the kernel (see child.py).
    """

    def __init__(self, settings: EngineSettings) -> None:
        if not machine.has_vllm():
            raise EngineMissingError(
                "vLLM is not installed in this environment.",
                "Run `make setup`, or pip install lmft[cpu] (lmft[gpu] with an NVIDIA GPU).",
            )
        self.settings = settings
        self.log_path = paths.home() / "logs" / "engine.log"
        # Not under the data directory: a socket's path is limited to about 100 bytes.
        self._run_dir = Path(tempfile.mkdtemp(prefix="lmft-engine-"))
        self._key = secrets.token_urlsafe(32)
        self._process: subprocess.Popen[bytes] | None = None
        self.client = EngineClient(self._run_dir / "vllm.sock", self._key)

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    async def start(self, on_progress: Callable[[str], None]) -> None:
        """Start vLLM and wait until it has generated a token.

        Raises:
            EngineError: it died or did not answer in time; says the cause from its log.
        """
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    # Never a module from the folder that somebody happens to stand in.
                    "-P",
                    "-m",
                    "serving.engine.child",
                    str(os.getpid()),
                    *self._arguments(),
                ],
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A group of its own: Ctrl-C in the terminal reaches the gateway, which stops
                # the engine in order.
                start_new_session=True,
            )
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        on_progress("starting vLLM")
        while not await self.client.healthy():
            self._check_alive()
            if time.monotonic() > deadline:
                await self.stop()
                raise EngineError(
                    f"vLLM did not answer within {START_TIMEOUT_SECONDS} s.",
                    f"See {self.log_path}.",
                )
            await asyncio.sleep(0.25)
        on_progress("first token")
        await self.client.one_token(self.settings.base_alias)

    def _check_alive(self) -> None:
        if self._process is not None and (code := self._process.poll()) is not None:
            raise EngineError(
                f"vLLM stopped while starting (exit code {code}): {self._cause()}",
                f"The whole log: {self.log_path}.",
            )

    def _cause(self) -> str:
        """The last error line of the log: what a person would look for in it."""
        text = self.log_path.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace")
        lines = [line.strip() for line in text.splitlines() if "Error" in line]
        return lines[-1][-300:] if lines else "no error line in its log."

    async def stop(self) -> None:
        """SIGTERM to the group, then SIGKILL; afterwards nothing of the engine is left."""
        await self.client.close()
        process = self._process
        if process is not None:
            self._signal_group(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(process.wait, STOP_TIMEOUT_SECONDS)
            self._signal_group(signal.SIGKILL)
            await asyncio.to_thread(process.wait)
            self._process = None
        shutil.rmtree(self._run_dir, ignore_errors=True)

    def _signal_group(self, number: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def _arguments(self) -> list[str]:
        settings = self.settings
        arguments = [
            f"--model={settings.base_path}",
            f"--served-model-name={settings.base_alias}",
            f"--uds={self._run_dir / 'vllm.sock'}",
            f"--dtype={machine.serving_dtype()}",
            f"--max-model-len={settings.context_length}",
            "--enable-lora",
            f"--max-loras={settings.slots}",
            f"--max-cpu-loras={max(settings.slots, settings.resident_adapters)}",
            f"--max-lora-rank={settings.max_rank}",
            # Sampler defaults come from the format contract, not from the base's own file.
            "--generation-config=vllm",
            "--disable-uvicorn-access-log",
        ]
        if machine.gpus():
            return [*arguments, f"--gpu-memory-utilization={settings.gpu_memory_share}"]
        # One process less to start; the compiler is not used with LoRA on a CPU.
        return [*arguments, "--distributed-executor-backend=uni", "--enforce-eager"]

    def _environment(self) -> dict[str, str]:
        environment = {key: value for key, value in os.environ.items() if key != "LMFT_API_KEY"}
        environment |= {
            "VLLM_API_KEY": self._key,
            "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1",
            "VLLM_PLUGINS": "lmft",
            "VLLM_NO_USAGE_STATS": "1",
            "HF_HUB_OFFLINE": "1",
            "LMFT_ENGINE_DIE_WITH_PARENT": "1",
        }
        if not machine.gpus():
            environment |= {
                "VLLM_CPU_KVCACHE_SPACE": str(self.settings.kv_cache_gib),
                "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
                "OMP_NUM_THREADS": str(max(1, machine.cpu_count() - 1)),
                # vLLM's log-probability helpers are compiled even in eager mode: with no C++
                # compiler that kills the engine, with one the first answer takes seconds.
                "TORCH_COMPILE_DISABLE": "1",
            }
        return environment
