"""How much memory engines may take, what one will need, and what it has taken."""

from __future__ import annotations

import contextlib
import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmft import machine
from lmft.device.memory import free_after_trainings
from serving.engine.settings import Slots

GIB = 1 << 30
VARIABLE = "LMFT_SERVE_MEMORY_GIB"
# Measured: vLLM with a model of 28 MB and 1 GiB of keys and values holds 2.2 GiB on a CPU. On a
# GPU it is the CUDA context and the activations of one batch.
_VLLM_BYTES = 13 * GIB // 10
_GPU_BYTES = 2 * GIB
_LOCAL_BYTES = 8 * GIB // 10
# A whole context for each of so many requests; vLLM needs one.
_REQUESTS = 32
_MIN_KV_BYTES = 1 << 27
_CPU_SHARE, _GPU_SHARE = 0.5, 0.85


def budget_bytes(gib: float | None = None) -> int:
    """What all engines together may take: `gib`, else LMFT_SERVE_MEMORY_GIB, else half of the
    free memory; on a GPU 85% of its free memory."""
    if gib is None and (given := os.environ.get(VARIABLE)):
        with contextlib.suppress(ValueError):
            gib = float(given)
    if gib is not None and gib > 0:
        return int(gib * GIB)
    if machine.gpus():
        return int(free_after_trainings("cuda") * _GPU_SHARE)
    return int(free_after_trainings("cpu") * _CPU_SHARE)


@dataclass(frozen=True)
class Need:
    """Bytes of one engine, by what they are for."""

    weights: int
    slots: int
    kv_cache: int
    overhead: int

    @property
    def total(self) -> int:
        return self.weights + self.slots + self.kv_cache + self.overhead


def need_of(
    path: Path, context_length: int, slots: Slots | None, *, local: bool, budget: int
) -> Need:
    """Estimate an engine's memory, from its model's files.

    Keys and values get a whole context for 32 requests, but no more than what the budget leaves
    beside the rest, and never less than one context, without which vLLM does not start.
    """
    config = _config(path)
    width = 4 if machine.serving_dtype() == "float32" else 2
    weights = _parameters(path) * width
    lora = _lora_parameters_per_rank(config) * width
    # A slot is allocated at full rank; what waits outside the slots as well, at worst.
    in_slots = lora * slots.rank * (2 * slots.batch + slots.resident) if slots else 0
    overhead = _LOCAL_BYTES if local else _GPU_BYTES if machine.gpus() else _VLLM_BYTES
    one_context = context_length * _kv_bytes_per_token(config, width)
    least = max(_MIN_KV_BYTES, one_context * 5 // 4)
    left = budget - weights - in_slots - overhead
    wanted = max(least, min(one_context * _REQUESTS, left))
    return Need(weights, in_slots, wanted, overhead)


def gpu_share(need: Need) -> float:
    """Of the GPU's whole memory, what vLLM is told to take; 0 without a GPU."""
    gpus = machine.gpus()
    return min(0.95, need.total / gpus[0].total_bytes) if gpus else 0.0


def taken_bytes(session: int) -> int:
    """Memory of all processes of a session, shared pages counted once between them; 0 where the
    system does not say."""
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            if int(stat.read_text().rpartition(")")[2].split()[3]) == session:
                for line in (stat.parent / "smaps_rollup").read_text().splitlines():
                    if line.startswith("Pss:"):
                        total += int(line.split()[1]) * 1024
    return total


def _config(path: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((path / "config.json").read_text(encoding="utf-8"))
    inner = config.get("text_config")
    return inner if isinstance(inner, dict) else config


def _first(config: dict[str, Any], names: tuple[str, ...], default: int) -> int:
    return next((config[name] for name in names if isinstance(config.get(name), int)), default)


def _shape(config: dict[str, Any]) -> tuple[int, int, int]:
    """Layers, hidden size, attention heads."""
    return (
        _first(config, ("num_hidden_layers", "n_layer", "num_layers"), 12),
        _first(config, ("hidden_size", "n_embd", "d_model"), 768),
        _first(config, ("num_attention_heads", "n_head", "num_heads"), 12),
    )


def _kv_bytes_per_token(config: dict[str, Any], width: int) -> int:
    layers, hidden, heads = _shape(config)
    kv_heads = _first(config, ("num_key_value_heads", "num_kv_heads"), heads)
    head = _first(config, ("head_dim",), hidden // heads)
    return 2 * layers * kv_heads * head * width


def _lora_parameters_per_rank(config: dict[str, Any]) -> int:
    """Of a LoRA on all linear layers: in + out of each; the MLP as if it were gated."""
    layers, hidden, _ = _shape(config)
    inner = _first(config, ("intermediate_size", "n_inner", "ffn_dim"), 4 * hidden)
    return layers * (8 * hidden + 3 * (hidden + inner))


def _parameters(path: Path) -> int:
    """Of all weight files, by their headers."""
    total = 0
    for file in path.glob("*.safetensors"):
        with file.open("rb") as raw:
            header = json.loads(raw.read(int.from_bytes(raw.read(8), "little")))
        header.pop("__metadata__", None)
        total += sum(math.prod(tensor["shape"]) for tensor in header.values())
    return total
