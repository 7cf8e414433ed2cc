"""Peak memory: of the GPU where there is one, else of this process."""

from __future__ import annotations

from pathlib import Path

import torch

from lmft.train.planning.memory import LIBRARY_BYTES


def peak_memory_bytes(device: str) -> int:
    """The most that was taken of the GPU, or that was resident of this process.

    0 where the system does not say.
    """
    if device == "cuda":
        # What the plan counts too: tensors, the allocator's holes, and CUDA's own.
        return torch.cuda.max_memory_reserved() + LIBRARY_BYTES["cuda"]
    # Not getrusage: its peak is inherited from the process that started this one.
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0
