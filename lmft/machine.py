"""What this machine is, asked without importing torch."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

# oneDNN multiplies bf16 natively with either; without them it emulates, 30 times slower.
_BF16_FLAGS = frozenset({"avx512_bf16", "amx_tile", "bf16"})
_MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Gpu:
    name: str
    total_bytes: int
    free_bytes: int
    compute_capability: float


@cache
def gpus() -> tuple[Gpu, ...]:
    """NVIDIA GPUs by nvidia-smi; none without a driver, or hidden by CUDA_VISIBLE_DEVICES."""
    found = []
    for fields in _nvidia_smi("--query-gpu=name,memory.total,memory.free,compute_cap"):
        if len(fields) == 4 and fields[1].isdigit() and fields[2].isdigit():
            found.append(
                Gpu(
                    fields[0],
                    int(fields[1]) * _MEBIBYTE,
                    int(fields[2]) * _MEBIBYTE,
                    float(fields[3]),
                )
            )
    return tuple(found)


def gpu_bytes_of(pids: Collection[int]) -> int:
    """Memory that these processes hold on the GPUs that this one sees.

    In a container the driver may not know them by these numbers: then what all processes hold.
    """
    rows = [
        (int(fields[0]), int(fields[1]) * _MEBIBYTE)
        for fields in _nvidia_smi("--query-compute-apps=pid,used_memory")
        if len(fields) == 2 and fields[0].isdigit() and fields[1].isdigit()
    ]
    if any(pid in pids for pid, _ in rows):
        return sum(held for pid, held in rows if pid in pids)
    used = _nvidia_smi("--query-gpu=memory.used")
    return sum(int(field) * _MEBIBYTE for (field,) in used if field.isdigit())


def _nvidia_smi(query: str) -> list[list[str]]:
    """The fields of each line of its answer; nothing without a driver or a GPU to be seen."""
    command = shutil.which("nvidia-smi")
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if command is None or visible in ("", "-1"):
        return []
    try:
        answer = subprocess.run(
            [
                command,
                query,
                *(["-i", visible] if visible else []),
                "--format=csv,noheader,nounits",
            ],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
    except (subprocess.SubprocessError, OSError):
        return []
    return [[field.strip() for field in line.split(",")] for line in answer.stdout.splitlines()]


@cache
def cpu_has_bf16() -> bool:
    return bool(
        _BF16_FLAGS & set(_cpuinfo("flags").split())
        | _BF16_FLAGS & set(_cpuinfo("Features").split())
    )


def mixes_bf16(device: str) -> bool:
    """Whether training in bf16 beside float32 weights is faster there than in float32.

    Args:
        device: `cuda` or `cpu`.
    """
    if device == "cuda":
        return all(gpu.compute_capability >= 8 for gpu in gpus())
    return cpu_has_bf16()


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
