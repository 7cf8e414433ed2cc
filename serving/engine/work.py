"""What an engine shows of its work while it gives no answer: what it has counted, and the
processor's time that its processes took."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

# vLLM's API server learns them from the process that computes, with each of its steps.
_COUNTED = (
    "vllm:prompt_tokens_total",
    "vllm:generation_tokens_total",
    "vllm:kv_cache_usage_perc",
)
# In /proc/PID/stat, after the command's name: its own time and that of its children that have
# ended, each in the program and in the kernel.
_SESSION, _TIMES = 3, slice(11, 15)


def counted(metrics: str) -> tuple[str, ...]:
    """The figures that only computing changes, to be compared with those of another moment.

    Args:
        metrics: what the engine's /metrics says.
    """
    return tuple(line for line in metrics.splitlines() if line.startswith(_COUNTED))


def processor_seconds(session: int) -> float:
    """That all processes of a session have taken so far, on all cores together; 0 where the
    system does not say."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = stat.read_text(errors="replace").rpartition(")")[2].split()
            if int(fields[_SESSION]) == session:
                ticks += sum(map(int, fields[_TIMES]))
    return ticks / os.sysconf("SC_CLK_TCK")
