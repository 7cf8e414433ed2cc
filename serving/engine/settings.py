"""What one engine serves, and how its process is told."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lmft import machine
from lmft.processes import PARENT_KEY_VARIABLE

_JSON_ANSWERS = '{"backend": "guidance", "disable_any_whitespace": true}'


_NOT_THE_ENGINES = frozenset(
    {"LMFT_API_KEY", "LMFT_DATABASE_URL", PARENT_KEY_VARIABLE, "VLLM_CPU_KVCACHE_SPACE"}
)


@dataclass(frozen=True)
class Slots:
    """Room for adapters.

    Attributes:
        batch: adapters in one batch. rank: a slot's, one of lmft.train.servable.RANKS.
        resident: adapters that are loaded at the same time.
    """

    batch: int
    rank: int
    resident: int


@dataclass(frozen=True)
class EngineSettings:
    """What one engine serves.

    Attributes:
        name: of its log, `engine-NAME.log`.
        program: `vllm`, or `local` for serving.engine.local.
        path: the model's directory. alias: the name it answers to.
        context_length: in tokens.
        slots: None where no adapter is ever loaded.
        kv_cache_bytes: memory for keys and values; vLLM on a GPU takes what is left instead.
        gpu_memory_share: of the whole GPU's memory, all that vLLM takes.
    """

    name: str
    program: Literal["vllm", "local"]
    path: Path
    alias: str
    context_length: int
    slots: Slots | None
    kv_cache_bytes: int
    gpu_memory_share: float

    def command(self, parent_pid: int, socket: Path) -> list[str]:
        """Module and arguments for `python -P -m`."""
        shared = [
            str(parent_pid),
            f"--model={self.path}",
            f"--served-model-name={self.alias}",
            f"--uds={socket}",
            f"--dtype={machine.serving_dtype()}",
            f"--max-model-len={self.context_length}",
        ]
        if self.program == "local":
            slots = [f"--max-loras={self.slots.batch}"] if self.slots else []
            room = f"--kv-cache-memory-bytes={self.kv_cache_bytes}"
            return ["serving.engine.local.child", *shared, *slots, room]
        return ["serving.engine.child", *shared, *self._vllm_arguments()]

    def _vllm_arguments(self) -> list[str]:
        # Sampler defaults come from the format contract, not from the base's own file.
        arguments = [
            "--generation-config=vllm",
            "--disable-uvicorn-access-log",
            # A small model under a JSON grammar would go on writing white space for ever.
            f"--structured-outputs-config={_JSON_ANSWERS}",
        ]
        if self.slots is not None:
            arguments += [
                "--enable-lora",
                f"--max-loras={self.slots.batch}",
                # The probe's twins must not push out what is being served.
                f"--max-cpu-loras={self.slots.resident + self.slots.batch}",
                f"--max-lora-rank={self.slots.rank}",
            ]
        if machine.gpus():
            return [*arguments, f"--gpu-memory-utilization={self.gpu_memory_share:.3f}"]
        return [
            *arguments,
            f"--kv-cache-memory-bytes={self.kv_cache_bytes}",
            # One process less to start; the compiler is not used with LoRA on a CPU.
            "--distributed-executor-backend=uni",
            "--enforce-eager",
        ]

    def environment(self, key: str) -> dict[str, str]:
        """The process's environment: this one's, less what is none of the engine's business."""
        environment = {
            name: value for name, value in os.environ.items() if name not in _NOT_THE_ENGINES
        }
        environment |= {
            "VLLM_API_KEY": key,
            "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1",
            "VLLM_PLUGINS": "lmft",
            "VLLM_NO_USAGE_STATS": "1",
            # A group chat has a stop for each name in it; vLLM alone would take four.
            "VLLM_MAX_STOP_STRINGS": "64",
            "HF_HUB_OFFLINE": "1",
            "LMFT_ENGINE_DIE_WITH_PARENT": "1",
        }
        if not machine.gpus():
            environment |= {
                "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
                "OMP_NUM_THREADS": str(max(1, machine.cpu_count() - 1)),
                # vLLM's log-probability helpers are compiled even in eager mode: with no C++
                # compiler that kills the engine, with one the first answer takes seconds.
                "TORCH_COMPILE_DISABLE": "1",
            }
        return environment
