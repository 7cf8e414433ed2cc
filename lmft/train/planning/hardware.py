"""What processors are rated at: arithmetic per second and watts. Data sheets of the makers."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache

import numpy as np

from lmft import machine
from lmft.train import processes

# Part of a GPU's name: dense bf16 FLOP/s (fp16 before Ampere) with fp32 sums, watts.
_GPUS = {
    "B200": (2250e12, 1000),
    "GH200": (989e12, 700),
    "H200": (989e12, 700),
    "H100 NVL": (835e12, 400),
    "H100 PCIe": (756e12, 350),
    "H100": (989e12, 700),
    "A100": (312e12, 400),
    "A40": (150e12, 300),
    "A30": (165e12, 165),
    "A10G": (70e12, 150),
    "A10": (125e12, 150),
    "L40S": (362e12, 350),
    "L40": (181e12, 300),
    "L4": (121e12, 72),
    "RTX 6000 Ada": (364e12, 300),
    "RTX A6000": (155e12, 300),
    "RTX 5090": (210e12, 575),
    "RTX 4090": (165e12, 450),
    "RTX 4080": (97e12, 320),
    "RTX 3090": (71e12, 350),
    "V100": (125e12, 300),
    "T4": (65e12, 70),
}
_UNKNOWN_GPU_WATTS = 300
_HOST_WATTS = 100
# A server CPU of 64 cores is rated at 300 to 400 W; memory and losses come on top.
_WATTS_A_CORE = 10
# A CPU with bf16 instructions does them about this many times as fast as fp32.
_BF16_GAIN = 4
_STACK, _SIDE, _TRIALS = 64, 64, 30
# Of the speed of a large product, what one of that size reaches (OpenBLAS, AMD EPYC).
_SMALL_SHARE = 0.55


@dataclass(frozen=True)
class Power:
    """Attributes:
    watts: assumed while training. assumption: where they come from, for people.
    """

    watts: int
    assumption: str


def peak_flops(device: str) -> float | None:
    """FLOP/s that the hardware could do in the type it trains in; None for an unknown GPU.

    A GPU's from its data sheet; a CPU's from a matrix product measured now, once.
    """
    if device == "cpu":
        return _cpu_flops() * (_BF16_GAIN if machine.serving_dtype() == "bfloat16" else 1)
    found = _rated()
    return None if found is None else found[0]


def assumed_power(device: str) -> Power:
    """What the machine draws while it trains."""
    if device == "cpu":
        cores = machine.cpu_count()
        return Power(_WATTS_A_CORE * cores, f"{_WATTS_A_CORE} W for each of {cores} cores")
    found = _rated()
    gpu = _UNKNOWN_GPU_WATTS if found is None else found[1]
    n_gpus = processes.count()
    each = "the GPU's" if n_gpus == 1 else f"{n_gpus} GPUs, each"
    return Power(n_gpus * gpu + _HOST_WATTS, f"{each} rated {gpu} W and {_HOST_WATTS} W around it")


def _rated() -> tuple[float, int] | None:
    found = machine.gpus()
    name = found[0].name if found else ""
    parts = [part for part in _GPUS if part in name]
    return _GPUS[max(parts, key=len)] if parts else None


@cache
def _cpu_flops() -> float:
    """FLOP/s of large fp32 matrix products on all cores.

    From small ones, which libraries compute on one core, and by that core's time, not by the
    clock: other programs may be using the machine. The best of some: they share its caches too.
    """
    stack = np.ones((_STACK, _SIDE, _SIDE), dtype=np.float32)
    out = np.empty_like(stack)
    best = float("inf")
    for _ in range(_TRIALS):
        start = time.process_time()
        np.matmul(stack, stack, out=out)
        best = min(best, time.process_time() - start)
    flops = 2 * _SIDE**3 * _STACK / best
    return flops / _SMALL_SHARE * machine.cpu_count()
