"""Would an engine take this adapter? Read from its files alone, before any engine sees them.

The rules for the configuration are those of vLLM's `PEFTHelper.validate_legal`, which would cost
this process seconds of imports; tests/integration/test_accepted.py holds the two equal. For the
weights vLLM has no rules, it even takes matrices of another width: what is cut short, no number or
does not fit the base is found here.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from lmft.errors import ProbeFailedError
from lmft.registry.adapters import Adapter

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
MAX_RANK = 512
# These set only where training begins; any other named one changes the base's own weights.
_PLAIN_INITS = frozenset({"gaussian", "eva", "orthogonal", "mica", "lora_ga"})
_CLASSIFIERS = frozenset({"classifier", "score"})
_UNKNOWN_TO_VLLM = (
    "use_dora",
    "lora_bias",
    "alora_invocation_tokens",
    "layer_replication",
    "use_bdlora",
    "use_qalora",
)
# safetensors' name of a type -> numpy's; bf16 has none and is looked at as bits.
_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
_BF16_EXPONENT = 0x7F80
_MAX_HEADER_BYTES = 50_000_000
# How PEFT names the two halves of a matrix in its file.
_PEFT, _A, _B = "base_model.model.", ".lora_A.weight", ".lora_B.weight"


def require_accepted(adapter: Adapter, base: Path) -> None:
    """Raise when no engine would serve `adapter`.

    Args:
        base: directory of the base it was trained over.

    Raises:
        ProbeFailedError: says what is wrong.
    """
    faults = _configuration(adapter.path / CONFIG) or _weights(adapter.path / WEIGHTS, base)
    if faults:
        raise ProbeFailedError(
            f"Adapter {adapter.id} is not served: {'; '.join(faults)}.",
            "Train it again with this version of lmft.",
        )


def adapter_rank(adapter: Adapter) -> int:
    """The largest rank in its configuration, which is what a slot must hold.

    Raises:
        ProbeFailedError: the configuration says none.
    """
    try:
        config = json.loads((adapter.path / CONFIG).read_text(encoding="utf-8"))
        return max(int(config["r"]), *map(int, (config.get("rank_pattern") or {}).values()), 0)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ProbeFailedError(
            f"Adapter {adapter.id} is not served: {CONFIG} cannot be read.", "Train it again."
        ) from error


def complaints(config: dict[str, Any], max_rank: int) -> list[str]:
    """What vLLM has against a LoRA configuration; nothing where it would load it."""
    if missing := sorted({"r", "lora_alpha", "target_modules"} - config.keys()):
        return [f"{CONFIG} lacks {', '.join(missing)}"]
    ranks = [config["r"], *(config.get("rank_pattern") or {}).values()]
    if not all(isinstance(rank, int) and rank > 0 for rank in ranks):
        return ["a rank is not a positive number"]
    found = [f"it uses {key}" for key in _UNKNOWN_TO_VLLM if config.get(key)]
    if max(ranks) > max_rank:
        found.append(f"its rank {max(ranks)} is above {max_rank}")
    if config.get("bias", "none") != "none":
        found.append("it trains biases")
    if extra := sorted(set(config.get("modules_to_save") or ()) - _CLASSIFIERS):
        found.append(f"it holds whole modules ({', '.join(extra)})")
    init = config.get("init_lora_weights", True)
    if isinstance(init, str) and init.lower() not in _PLAIN_INITS:
        found.append(f"its LoRA began from changed base weights ({init})")
    return found


def _configuration(file: Path) -> list[str]:
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(config, dict):
            raise ValueError("not an object")
        return complaints(config, MAX_RANK)
    except (OSError, ValueError, TypeError, AttributeError):
        return [f"{CONFIG} cannot be read"]


def _weights(file: Path, base: Path) -> list[str]:
    """Faults of a safetensors file: a header that lies, a foreign tensor, a number that is none,
    a matrix that does not fit."""
    try:
        header, start = _header(file)
        data = np.memmap(file, np.uint8, "r", offset=start)
        for name, tensor in header.items():
            if ".lora_" not in name:
                return [f"{WEIGHTS} holds {name}, which is no LoRA weight"]
            begin, end = tensor["data_offsets"]
            width = np.dtype(_TYPES[tensor["dtype"]]).itemsize
            if begin < 0 or end > data.size or end - begin != math.prod(tensor["shape"]) * width:
                raise ValueError("cut short")
            if not _finite(data[begin:end], tensor["dtype"]):
                return [f"{WEIGHTS} holds numbers that are none (NaN or infinite)"]
            if len(tensor["shape"]) != 2:
                return [f"{WEIGHTS} holds {name}, which is no matrix"]
        shapes = {name: tensor["shape"] for name, tensor in header.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return [f"{WEIGHTS} is not a whole safetensors file"]
    if not shapes:
        return [f"{WEIGHTS} is empty"]
    return _misfits(shapes, base)


def _misfits(shapes: dict[str, list[int]], base: Path) -> list[str]:
    """Pairs whose product has not the shape of the base's matrix of that name, either way round:
    GPT-2's lie transposed. What the base stores under another name is left to the probe."""
    known: dict[str, list[int]] = {}
    for file in base.glob("*.safetensors"):
        known |= {name: tensor["shape"] for name, tensor in _header(file)[0].items()}
    for name, (rank, *inner) in shapes.items():
        if not name.endswith(_A):
            continue
        module = name.removesuffix(_A)
        matrix = known.get(f"{module.removeprefix(_PEFT)}.weight")
        outer = shapes.get(f"{module}{_B}", [0, 0])
        if outer[1:] != [rank] or (matrix and sorted([*inner, outer[0]]) != sorted(matrix)):
            return [f"{WEIGHTS} does not fit its base ({module.removeprefix(_PEFT)})"]
    return []


def _header(file: Path) -> tuple[dict[str, Any], int]:
    """A safetensors file's tensors, and where in the file their bytes begin."""
    with file.open("rb") as raw:
        length = int.from_bytes(raw.read(8), "little")
        if length > min(_MAX_HEADER_BYTES, file.stat().st_size):
            raise ValueError("the header is longer than the file")
        header: dict[str, Any] = json.loads(raw.read(length))
    header.pop("__metadata__", None)
    return header, 8 + length


def _finite(raw: np.ndarray[Any, np.dtype[np.uint8]], dtype: str) -> bool:
    # A tensor need not begin where its type's width would have it.
    values = np.frombuffer(raw.tobytes(), _TYPES[dtype])
    if dtype == "BF16":
        return not bool(((values & _BF16_EXPONENT) == _BF16_EXPONENT).any())
    return bool(np.isfinite(values).all())
