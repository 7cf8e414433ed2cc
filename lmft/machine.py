"""What this machine is, asked without importing torch."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

# oneDNN multiplies bf16 natively with either; without them it emulates, 30 times slower.
_BF16_FLAGS = frozenset({"avx512_bf16", "amx_tile", "bf16"})


@dataclass(frozen=True)
class Gpu:
    name: str
    total_bytes: int
    free_bytes: int
    compute_capability: float


@cache
def gpus() -> tuple[Gpu, ...]:
    """NVIDIA GPUs by nvidia-smi; none without a driver, or hidden by CUDA_VISIBLE_DEVICES."""
    command = shutil.which("nvidia-smi")
    if command is None or os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return ()
    query = ["--query-gpu=name,memory.total,memory.free,compute_cap"]
    if visible := os.environ.get("CUDA_VISIBLE_DEVICES"):
        query += ["-i", visible]
    try:
        answer = subprocess.run(
            [command, *query, "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
    except (subprocess.SubprocessError, OSError):
        return ()
    found = []
    for line in answer.stdout.splitlines():
        fields = [field.strip() for field in line.split(",")]
        if len(fields) == 4 and fields[1].isdigit() and fields[2].isdigit():
            mebibyte = 1 << 20
            found.append(
                Gpu(
                    fields[0],
                    int(fields[1]) * mebibyte,
                    int(fields[2]) * mebibyte,
                    float(fields[3]),
                )
            )
    return tuple(found)


@cache
def cpu_has_bf16() -> bool:
    return bool(
        _BF16_FLAGS & set(_cpuinfo("flags").split())
        | _BF16_FLAGS & set(_cpuinfo("Features").split())
    )


def cpu_name() -> str:
    return _cpuinfo("model name") or "unknown CPU"


def cpu_count() -> int:
    """Cores this process may run on, which in a container is fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_memory_bytes() -> int:
    """Memory that can be had without swapping; 0 where the system does not say."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def serving_dtype() -> str:
    """The type that engine and reference compute in: bfloat16 where the hardware has it."""
    if found := gpus():
        return "bfloat16" if found[0].compute_capability >= 8 else "float16"
    return "bfloat16" if cpu_has_bf16() else "float32"


def has_vllm() -> bool:
    return find_spec("vllm") is not None


def _cpuinfo(key: str) -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == key:
                return value.strip()
    except OSError:
        pass
    return ""
