"""Training speed, side by side in one run: lmft, stock TRL, a bare loop of the same format.

    python bench/train.py [--quick]

On a CPU: GPT-2 in 10M parameters as published (dropout 0.1, gelu_new) and the embedded base,
LoRA of rank 16, blocks of 512 tokens, in bf16 and in NF4. Contestants take turns, so that a
noisy machine is noisy for all; only ratios count. On a GPU: GPT-2 XL and Llama 3 8B shapes with
random weights, NF4, blocks of 1024.

A CPU without AVX512_BF16 or AMX only emulates bf16. There lmft and the bare loop compute in
fp32, as `auto` chooses, and stock TRL is measured twice: in bf16, which is the bar's rival, and
in fp32, which is what a person who knew would tell it.
"""

from __future__ import annotations

import argparse
import functools
import gc
import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from lmft.train.environment import prepare_libraries  # noqa: E402

prepare_libraries()

import torch  # noqa: E402

from bench.trainers import lean, ours, shapes, stock  # noqa: E402
from lmft import machine  # noqa: E402
from lmft.bases import resolve_base  # noqa: E402
from lmft.train.planning.flops import flops_per_token, peak_flops  # noqa: E402
from lmft.train.planning.shape import shape_of  # noqa: E402
from lmft.train.planning.speed import missing_compiler  # noqa: E402
from lmft.train.recipe import Lora  # noqa: E402

# bars: times stock TRL in bf16, by shape and format.
CPU_BARS = {
    ("gpt2-10m as published", "bf16"): 12.0,
    ("gpt2-10m as published", "nf4"): 10.0,
    ("embedded", "bf16"): 3.5,
    ("embedded", "nf4"): 2.8,
}
LEAN_BAR = 0.9
GPU_BARS = {"gpt2-xl": 45_000, "llama-8b": 9_000}
GPU_BLOCKS = {"gpt2-xl": 16, "llama-8b": 8}
GPU_STOCK_BAR = 3.0
# 30 MB of text, 2.4 epochs: what AI Dungeon took 12 hours for in 2019.
AI_DUNGEON_TOKENS = 18_000_000
# Stock TRL runs at tens of tokens a second there: a step of all blocks would take a minute.
EMULATED_BLOCKS = 1

Run = Callable[[], shapes.Measured]


def take_turns(runs: dict[str, Run], rounds: int) -> dict[str, float]:
    """Median tokens per second of each contestant over its rounds."""
    speeds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            speeds[name].append(run().tokens_per_second)
            gc.collect()
    return {name: statistics.median(values) for name, values in speeds.items()}


def once(run: Run, only: bool) -> Run:
    """With `only`, the first round's result stands for all: what takes a minute to warm up."""
    return functools.cache(run) if only else run


def cpu_cases(scratch: Path, dtype: str) -> list[shapes.Case]:
    published = shapes.random_base(shapes.gpt2_10m(), scratch / "gpt2-10m")
    return [
        shapes.Case(name, base, nf4, dtype, 512, 8)
        for name, base in (
            ("gpt2-10m as published", published),
            ("embedded", resolve_base("embedded")),
        )
        for nf4 in (False, True)
    ]


def measure_cpu(scratch: Path, quick: bool) -> tuple[list[dict], list[dict]]:
    emulated = not machine.cpu_has_bf16()
    n_steps, rounds = (3, 1) if quick else (4, 2)
    # In fp32 compiling gains nothing, and `auto` leaves it; see lmft.train.planning.speed.
    compiled = not quick and not emulated and missing_compiler("cpu") is None
    bars, rows = [], []
    for case in cpu_cases(scratch, "float32" if emulated else "bfloat16"):
        short = (
            shapes.Case(case.shape, case.base, case.nf4, case.dtype, 512, EMULATED_BLOCKS)
            if emulated
            else case
        )
        runs: dict[str, Run] = {
            "lmft": lambda case=case: ours.measure(case, n_steps),
            "bare loop": lambda case=case: lean.measure(case, n_steps),
            "TRL bf16": once(lambda short=short: stock.measure(short, 2, bf16=True), emulated),
        }
        if emulated:
            runs["TRL fp32"] = once(lambda short=short: stock.measure(short, 3, bf16=False), True)
        # Dequantised weights are dense weights: compiling gains the same in both formats.
        if compiled and not case.nf4:
            runs["lmft, compiled"] = once(
                lambda case=case: ours.measure(case, n_steps, compiled=True), True
            )
            runs["bare loop, compiled"] = once(
                lambda case=case: lean.measure(case, n_steps, compiled=True), True
            )
        speeds = take_turns(runs, rounds)
        format_name = "nf4" if case.nf4 else "bf16"
        print(f"{case.shape}, {format_name}: " + in_words(speeds), flush=True)
        rows.append({"shape": case.shape, "format": format_name, "tokens_per_second": speeds})
        best = max(speeds["lmft"], speeds.get("lmft, compiled", 0.0))
        limit = max(speeds["bare loop"], speeds.get("bare loop, compiled", 0.0))
        title = f"{case.shape}, {format_name}"
        bars.append(
            bar(
                f"{title}: times TRL bf16",
                best / speeds["TRL bf16"],
                CPU_BARS[case.shape, format_name],
            )
        )
        bars.append(bar(f"{title}: share of the bare loop", best / limit, LEAN_BAR))
    return bars, rows


def measure_gpu(scratch: Path, quick: bool) -> tuple[list[dict], list[dict]]:
    n_steps = 4 if quick else 12
    bars, rows = [], []
    for name, config in (("gpt2-xl", shapes.gpt2_xl()), ("llama-8b", shapes.llama_8b())):
        base = shapes.random_base(config, scratch / name)
        torch.cuda.empty_cache()
        case = shapes.Case(name, base, True, "bfloat16", 1024, GPU_BLOCKS[name])
        measured = ours.measure(case, n_steps)
        row = {
            "shape": name,
            "format": "nf4",
            "tokens_per_second": {"lmft": measured.tokens_per_second},
            "peak_gb": {"lmft": measured.peak_bytes / 1e9},
            "mfu": model_flops_share(case, measured.tokens_per_second),
            "ai_dungeon_minutes": AI_DUNGEON_TOKENS / measured.tokens_per_second / 60,
        }
        bars.append(bar(f"{name}: tokens/s", measured.tokens_per_second, GPU_BARS[name]))
        try:
            rival = stock.measure(case, max(3, n_steps // 3), bf16=True)
        except (ImportError, torch.OutOfMemoryError) as error:
            row["not_measured"] = f"stock TRL: {type(error).__name__}"
        else:
            row["tokens_per_second"]["TRL bf16"] = rival.tokens_per_second
            row["peak_gb"]["TRL bf16"] = rival.peak_bytes / 1e9
            ratio = measured.tokens_per_second / rival.tokens_per_second
            bars.append(bar(f"{name}: times TRL bf16", ratio, GPU_STOCK_BAR))
        print(f"{name}: {json.dumps(row)}", flush=True)
        rows.append(row)
    return bars, rows


def model_flops_share(case: shapes.Case, tokens_per_second: float) -> float | None:
    """MFU by the formula of lmft.train.planning.flops; None where the GPU's peak is not known."""
    peak = peak_flops("cuda")
    lora = Lora(rank=shapes.RANK, alpha=shapes.ALPHA)
    each = flops_per_token(shape_of(case.base), lora, case.block_tokens, checkpointing=False)
    return None if peak is None else tokens_per_second * each / peak


def in_words(speeds: dict[str, float]) -> str:
    return ", ".join(f"{name} {speed:,.0f} tokens/s" for name, speed in speeds.items())


def bar(name: str, value: float, target: float) -> dict:
    return {"name": name, "value": round(value, 3), "target": target, "ok": value >= target}


def describe_machine() -> dict[str, object]:
    found = machine.gpus()
    return {
        "cpu": machine.cpu_name(),
        "cores": machine.cpu_count(),
        "cpu_bf16": machine.cpu_has_bf16(),
        "gpu": found[0].name if found else None,
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "transformers", "peft", "bitsandbytes")},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer steps, one round, no compiling")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory(prefix="lmft-bench-") as scratch:
        measure = measure_gpu if torch.cuda.is_available() else measure_cpu
        bars, rows = measure(Path(scratch), quick)
    result = {
        "what": "tokens per second of training, LoRA of rank 16 on all linear layers",
        "quick": quick,
        "machine": describe_machine(),
        "measured": rows,
        "not_measured": "Unsloth: it does not install without a GPU",
        "bars": bars,
    }
    if not quick:
        name = "train_gpu.json" if torch.cuda.is_available() else "train_cpu.json"
        (ROOT / "bench" / "results" / name).write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps({"bars": bars}))


if __name__ == "__main__":
    main()
