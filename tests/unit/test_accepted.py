"""An adapter's weights as they lie in its file: whole, finite, and of its base's shapes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from lmft.registry.accepted import WEIGHTS, _weights

A, B = "base_model.model.h.0.c_attn.lora_A.weight", "base_model.model.h.0.c_attn.lora_B.weight"
FITTING = {A: np.ones((2, 8), np.float32), B: np.ones((24, 2), np.float32)}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """GPT-2's way round: (in, out)."""
    (tmp_path / "base").mkdir()
    save_file({"h.0.c_attn.weight": np.ones((8, 24), np.float32)}, tmp_path / "base/a.safetensors")
    return tmp_path / "base"


def faults(tmp_path: Path, base: Path, tensors: dict[str, np.ndarray]) -> list[str]:
    save_file(tensors, tmp_path / WEIGHTS)
    return _weights(tmp_path / WEIGHTS, base)


def test_weights_that_fit_have_no_fault(tmp_path: Path, base: Path) -> None:
    assert faults(tmp_path, base, FITTING) == []


def test_a_module_that_the_base_calls_otherwise_is_left_to_the_probe(
    tmp_path: Path, base: Path
) -> None:
    renamed = {name.replace("h.0", "layers.0"): tensor for name, tensor in FITTING.items()}
    assert faults(tmp_path, base, renamed) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({A: np.ones((2, 9), np.float32)}, "does not fit its base"),
        ({B: np.ones((25, 2), np.float32)}, "does not fit its base"),
        ({B: np.ones((24, 3), np.float32)}, "does not fit its base"),
        ({A: np.array(1.0, np.float32)}, "is no matrix"),
        ({B: np.ones(2, np.float32)}, "is no matrix"),
        ({A: np.full((2, 8), np.nan, np.float32)}, "NaN"),
        ({A: np.full((2, 8), np.inf, np.float16)}, "NaN"),
        ({"lm_head.weight": np.ones((2, 2), np.float32)}, "no LoRA weight"),
    ],
)
def test_weights_that_do_not_are_named(
    tmp_path: Path, base: Path, changes: dict[str, np.ndarray], said: str
) -> None:
    found = faults(tmp_path, base, FITTING | changes)
    assert len(found) == 1
    assert said in found[0]


@pytest.mark.parametrize(("bits", "finite"), [(0x3F80, True), (0x7F80, False), (0x7FC0, False)])
def test_bfloat16_is_looked_at_as_bits(tmp_path: Path, base: Path, bits: int, finite: bool) -> None:
    data = np.full(16, bits, "<u2").tobytes() + np.full(48, 0x3F80, "<u2").tobytes()
    header = {
        A: {"dtype": "BF16", "shape": [2, 8], "data_offsets": [0, 32]},
        B: {"dtype": "BF16", "shape": [24, 2], "data_offsets": [32, 128]},
    }
    _write(tmp_path / WEIGHTS, header, data)
    assert bool(_weights(tmp_path / WEIGHTS, base)) is not finite


@pytest.mark.parametrize(
    "change",
    [
        {"data_offsets": [0, 10**9]},
        {"data_offsets": [0, 32]},
        {"dtype": "I64"},
        {"shape": "x"},
    ],
)
def test_a_header_that_lies_is_no_whole_file(
    tmp_path: Path, base: Path, change: dict[str, object]
) -> None:
    tensor = {"dtype": "F32", "shape": [2, 8], "data_offsets": [0, 64]} | change
    _write(tmp_path / WEIGHTS, {A: tensor}, bytes(64))
    assert _weights(tmp_path / WEIGHTS, base) == [f"{WEIGHTS} is not a whole safetensors file"]


@pytest.mark.parametrize("content", [b"", b"\xff" * 8, b"\x05" + bytes(7) + b"[1,2]", b"\x80\x04."])
def test_what_is_no_safetensors_file_is_said_to_be_none(
    tmp_path: Path, base: Path, content: bytes
) -> None:
    (tmp_path / WEIGHTS).write_bytes(content)
    assert _weights(tmp_path / WEIGHTS, base) == [f"{WEIGHTS} is not a whole safetensors file"]


def _write(file: Path, header: dict[str, object], data: bytes) -> None:
    text = json.dumps(header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + data)
