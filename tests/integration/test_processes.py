"""More than one process: the same losses and the same adapter as with one, over gloo."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from lmft import machine
from lmft.paths import EMBEDDED_BASE
from tests.conftest import ROOT, START_SECONDS, free_port

# A run is compared with itself on other processes: what differs is the order of fp32 sums.
LOSS_TOLERANCE = 1e-6
ADAPTER_TOLERANCE = 1e-5
# `lmft train` computes in bf16 where the CPU can, and its metrics.jsonl rounds to five places.
IN_FLOAT32 = machine.serving_dtype() == "float32"
LOGGED_TOLERANCE, COMMAND_TOLERANCE = (2e-5, ADAPTER_TOLERANCE) if IN_FLOAT32 else (1e-3, 5e-2)
WIDTH, LAYERS, CONTEXT = 32, 2, 256
# Where there is no GPU, as CUDA_VISIBLE_DEVICES= makes sure of, these train over gloo.
LAUNCH = (
    *(sys.executable, "-m", "accelerate.commands.launch"),
    *("--num_processes", "2", "--main_process_port", "0"),
)
LAUNCH_SHARDED = (
    *("--use_fsdp", "--fsdp_version", "2"),
    *("--fsdp_auto_wrap_policy", "TRANSFORMER_BASED_WRAP"),
)
Result = dict[str, Any]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random GPT-2 of 0.3M parameters with the embedded base's tokenizer."""
    directory = tmp_path_factory.mktemp("base") / "tiny"
    directory.mkdir()
    for file in EMBEDDED_BASE.iterdir():
        if file.name.startswith(("tokenizer", "lmft_base")):
            shutil.copy(file, directory)
    config = json.loads((EMBEDDED_BASE / "config.json").read_text())
    config |= {"n_embd": WIDTH, "n_layer": LAYERS, "n_head": 2, "n_positions": CONTEXT}
    # FSDP gathers a head of its own weights only for a call of it.
    config["tie_word_embeddings"] = False
    (directory / "config.json").write_text(json.dumps(config | {"dtype": "float32"}))
    draw = np.random.default_rng(0)

    def weight(*shape: int) -> np.ndarray[Any, Any]:
        return draw.normal(0, 0.05, shape).astype(np.float32)

    tensors = {
        "wte.weight": weight(config["vocab_size"], WIDTH),
        "wpe.weight": weight(CONTEXT, WIDTH),
    }
    linears = {
        "attn.c_attn": (WIDTH, 3 * WIDTH),
        "attn.c_proj": (WIDTH, WIDTH),
        "mlp.c_fc": (WIDTH, 4 * WIDTH),
        "mlp.c_proj": (4 * WIDTH, WIDTH),
    }
    for layer in range(LAYERS):
        for name, shape in linears.items():
            tensors[f"h.{layer}.{name}.weight"] = weight(*shape)
            tensors[f"h.{layer}.{name}.bias"] = weight(shape[1])
    for norm in ("ln_f", *(f"h.{layer}.ln_{n}" for layer in range(LAYERS) for n in (1, 2))):
        tensors[f"{norm}.weight"] = np.ones(WIDTH, np.float32)
        tensors[f"{norm}.bias"] = np.zeros(WIDTH, np.float32)
    tensors = {f"transformer.{name}": value for name, value in tensors.items()}
    save_file(
        tensors | {"lm_head.weight": weight(config["vocab_size"], WIDTH)},
        directory / "model.safetensors",
        {"format": "pt"},
    )
    return directory


@pytest.fixture(scope="module")
def trained(base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    """What one process, and two by DDP and then by FSDP, made of the same blocks."""
    out = tmp_path_factory.mktemp("out")
    two = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
    two["MASTER_PORT"] = str(free_port())
    workers = [
        _worker(base, out, "one"),
        *(
            _worker(base, out, "ddp", "fsdp", RANK=rank, LOCAL_RANK=rank, **two)
            for rank in ("0", "1")
        ),
    ]
    try:
        for worker in workers:
            assert worker.wait(START_SECONDS) == 0
    finally:
        for worker in workers:
            worker.kill()
    return {way: json.loads((out / f"{way}.json").read_text()) for way in ("one", "ddp", "fsdp")}


def _worker(base: Path, out: Path, *ways: str, **environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [
            *(sys.executable, "-W", "ignore", "-m", "tests.integration.processes_worker"),
            *("train", str(base), str(out), *ways),
        ],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
    )


@pytest.mark.parametrize("way", ["ddp", "fsdp"])
def test_two_processes_log_the_losses_of_one(way: str, trained: dict[str, Result]) -> None:
    one, two = trained["one"]["rows"], trained[way]["rows"]
    assert len(one) == len(two) >= 6
    # Something is learnt, so the losses of later steps depend on the gradients of earlier ones.
    assert one[-1]["loss"] < one[0]["loss"] - 0.05
    for alone, shared in zip(one, two, strict=True):
        assert shared["loss"] == pytest.approx(alone["loss"], rel=LOSS_TOLERANCE)
        assert shared["grad_norm"] == pytest.approx(alone["grad_norm"], rel=1e-5)


@pytest.mark.parametrize("way", ["ddp", "fsdp"])
def test_two_processes_make_the_adapter_of_one(way: str, trained: dict[str, Result]) -> None:
    one, two = trained["one"]["adapter"], trained[way]["adapter"]
    assert one.keys() == two.keys()
    assert _distance(one, two) < ADAPTER_TOLERANCE


def test_fsdp_leaves_half_of_the_model_to_the_other_process(trained: dict[str, Result]) -> None:
    assert trained["ddp"]["held"] == 1
    assert trained["fsdp"]["held"] == pytest.approx(0.5, abs=0.01)


def _distance(one: dict[str, Any], two: dict[str, Any]) -> float:
    """Of two adapters, relative to the size of the first."""
    flat = [np.concatenate([np.ravel(each[name]) for name in one]) for each in (one, two)]
    return float(np.linalg.norm(flat[0] - flat[1]) / np.linalg.norm(flat[0]))


@pytest.mark.parametrize(
    ("quantization", "launched"),
    [
        ("none", (*LAUNCH, "--multi_gpu", "-m", "lmft.cli")),
        pytest.param(
            "nf4",
            (*LAUNCH, *LAUNCH_SHARDED, "-m", "tests.integration.processes_worker", "lmft"),
            marks=pytest.mark.long,
        ),
    ],
    ids=["ddp", "fsdp"],
)
def test_accelerate_launch_publishes_once_the_adapter_that_one_process_makes(
    quantization: str, launched: Sequence[str], base: Path, tmp_path: Path
) -> None:
    train = _six_steps(base, quantization)
    started = {
        "one": _command(tmp_path / "one", sys.executable, "-m", "lmft.cli", *train),
        "two": _command(tmp_path / "two", *launched, *train),
    }
    losses, weights = {}, {}
    for name, process in started.items():
        out, error = process.communicate(timeout=START_SECONDS)
        assert process.returncode == 0, out + error
        assert out.count("held-out loss:") == out.count("Publish the adapter") == 1
        assert len(list(tmp_path.glob(f"{name}/corpora/*/corpus.json"))) == 1
        (adapter,) = tmp_path.glob(f"{name}/adapters/*")
        lines = (adapter / "metrics.jsonl").read_text().splitlines()
        rows = [row for row in map(json.loads, lines) if "loss" in row]
        losses[name] = {row["step"]: row["loss"] for row in rows}
        weights[name] = load_file(adapter / "adapter_model.safetensors")
    assert len(losses["one"]) == 6
    assert losses["two"] == pytest.approx(losses["one"], abs=LOGGED_TOLERANCE)
    assert _distance(weights["one"], weights["two"]) < COMMAND_TOLERANCE


@pytest.mark.long
def test_two_killed_processes_go_on_to_the_bytes_of_uninterrupted_ones(
    base: Path, tmp_path: Path
) -> None:
    launched = (*LAUNCH, "--multi_gpu", "-m", "lmft.cli")
    train = (*_six_steps(base, "none"), *_set("training.checkpoint_minutes", 0))
    killed = _command(tmp_path / "killed", *launched, *train)
    deadline = time.monotonic() + START_SECONDS
    while not list(tmp_path.glob("killed/runs/*/checkpoints/step-00000003")):
        assert killed.poll() is None, killed.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    workers = Path(f"/proc/{killed.pid}/task/{killed.pid}/children").read_text().split()
    assert len(workers) == 2
    for pid in (killed.pid, *map(int, workers)):
        os.kill(pid, signal.SIGKILL)
    killed.communicate()
    assert not list(tmp_path.glob("killed/adapters/*"))
    made = []
    for home, *rest in (("killed", "train", "--resume"), ("whole", *train)):
        process = _command(tmp_path / home, *launched, *rest)
        out, error = process.communicate(timeout=START_SECONDS)
        assert process.returncode == 0, out + error
        (adapter,) = tmp_path.glob(f"{home}/adapters/*/adapter_model.safetensors")
        made.append(adapter.read_bytes())
    assert made[0] == made[1]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        # Only the main process reads the text; what is wrong with a recipe, all find.
        ("data", "/no/such/text"),
        pytest.param("training.learning_rate", 5, marks=pytest.mark.long),
    ],
)
def test_a_fault_is_said_once_and_ends_all_processes(key: str, value: Any, tmp_path: Path) -> None:
    fault = _set(key, value)
    launched = (*LAUNCH, "--multi_gpu", "-m", "lmft.cli", "train", "adventure", *fault)
    process = _command(tmp_path, *launched)
    out, error = process.communicate(timeout=START_SECONDS)
    assert process.returncode != 0
    assert len(re.findall("^Error: ", error, re.MULTILINE)) == 1, out + error
    assert not list(tmp_path.glob("adapters/*"))


def _six_steps(base: Path, quantization: str) -> list[str]:
    return [
        *("train", "adventure", *_set("base", base), *_set("quantization", quantization)),
        *(*_set("training.epochs", 0.15), *_set("training.batch_blocks", 8)),
        *(*_set("training.block_tokens", 128), *_set("training.evaluations", 1)),
        *(*_set("format.sampler.max_tokens", 8), *_set("lora.rank", 8)),
    ]


def _set(key: str, value: Any) -> tuple[str, str]:
    return "--set", f"{key}={value}"


def _command(home: Path, *command: str) -> subprocess.Popen[str]:
    environment = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "LMFT_HOME": str(home)}
    return subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
