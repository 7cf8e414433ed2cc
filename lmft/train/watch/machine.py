"""The machine and the libraries of a run, in words: what it takes to compare two runs."""

from __future__ import annotations

import importlib.metadata
import os
import platform

from lmft import machine

_LIBRARIES = ("lmft", "torch", "transformers", "peft", "trl", "accelerate", "bitsandbytes")


def machine_said() -> dict[str, str]:
    """What it has; neither its name nor anyone's on it."""
    said = {
        "Processor": f"{machine.cpu_name()}, {machine.cpu_count()} cores",
        "Memory": f"{_memory_bytes() / 1e9:.0f} GB",
    }
    if found := machine.gpus():
        said["GPU"] = ", ".join(f"{gpu.name}, {gpu.total_bytes / 1e9:.0f} GB" for gpu in found)
    said["System"] = f"{platform.system()} {platform.machine()}"
    return said


def libraries_said() -> dict[str, str]:
    """Versions of Python and of what computes."""
    versions = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    return {"Python": platform.python_version(), **versions}


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
