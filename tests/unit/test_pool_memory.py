"""What engines may take and will need, from a model's files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from lmft import machine
from serving.engine.settings import Slots
from serving.pool import memory
from serving.pool.memory import GIB, budget_bytes, need_of, taken_bytes

SLOTS = Slots(batch=4, rank=16, resident=32)
# 2 layers, 4 heads of 16: 2 * 2 * 64 * 4 bytes of keys and values for a token.
KV_BYTES = 1024


@pytest.fixture(autouse=True)
def cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "gpus", lambda: ())
    monkeypatch.setattr(machine, "serving_dtype", lambda: "float32")
    monkeypatch.delenv(memory.VARIABLE, raising=False)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    config = {"num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 4}
    (tmp_path / "config.json").write_text(json.dumps(config))
    for name in ("a", "b"):
        weights = {"w": np.zeros((10, 100), np.float16)}
        save_file(weights, tmp_path / f"{name}.safetensors", {"format": "pt"})
    return tmp_path


def need(model: Path, budget: int, slots: Slots | None = SLOTS, context: int = 1 << 20):
    return need_of(model, context, slots, local=False, budget=budget)


def test_weights_count_in_the_type_that_is_served(model: Path) -> None:
    assert need(model, 0).weights == 2 * 1000 * 4


def test_keys_and_values_get_32_contexts_or_what_is_left_but_at_least_one(model: Path) -> None:
    one = (1 << 20) * KV_BYTES
    rest = need(model, 0).total - need(model, 0).kv_cache
    assert need(model, 100 * GIB).kv_cache == 32 * one
    assert need(model, rest + 5 * one).kv_cache == 5 * one
    assert need(model, 0).kv_cache == one * 5 // 4


def test_slots_cost_with_their_rank_and_number_and_none_cost_nothing(model: Path) -> None:
    assert need(model, 0, None).slots == 0
    few, many = need(model, 0).slots, need(model, 0, Slots(8, 32, 64)).slots
    assert many == 4 * few > 0


def test_what_was_asked_for_comes_before_the_variable_and_that_before_half_of_the_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machine, "free_memory_bytes", lambda: 8 * GIB)
    assert budget_bytes() == 4 * GIB
    monkeypatch.setenv(memory.VARIABLE, "2.5")
    assert budget_bytes() == 5 * GIB // 2
    assert budget_bytes(1) == GIB


def test_of_a_gpu_it_is_a_share_of_the_free_memory_and_vllm_is_told_a_share_of_all(
    monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    gpu = machine.Gpu("a GPU", 80 * GIB, 40 * GIB, 9.0)
    monkeypatch.setattr(machine, "gpus", lambda: (gpu,))
    assert budget_bytes() == int(34 * GIB)
    wanted = need(model, budget_bytes())
    assert memory.gpu_share(wanted) == pytest.approx(wanted.total / (80 * GIB))


def test_the_memory_of_a_session_is_that_of_its_processes() -> None:
    program = "x = bytearray(200_000_000); print(flush=True); input()"
    child = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline()
    assert 200_000_000 < taken_bytes(child.pid) < 300_000_000
    child.communicate(b"\n")
    assert taken_bytes(child.pid) == 0
