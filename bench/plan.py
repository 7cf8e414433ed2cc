"""The planned peak memory against the measured one, each setting in a process of its own.

    python bench/plan.py [--quick]

The embedded base at several sizes, GPT-2 of 124M and two Llamas (62M; 20 layers deep) with
random weights; NF4 and none, with and without activation checkpointing. `--quick` takes four.
Memory does not ask how busy a machine is; times are not looked at.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from lmft import machine  # noqa: E402
from lmft.paths import EMBEDDED_BASE  # noqa: E402

MAX_ERROR = 0.15
# base, quantization, block_tokens, micro_blocks, then what is on; the first four are `--quick`.
CHECKPOINTING, KEPT = "activation_checkpointing", "keep_dequantised"
SETTINGS: tuple[tuple[str, str, int, int, tuple[str, ...]], ...] = (
    ("embedded", "nf4", 256, 4, (KEPT,)),
    ("embedded", "none", 256, 16, ()),
    ("embedded", "none", 256, 16, (CHECKPOINTING,)),
    ("llama-62m", "nf4", 256, 2, ()),
    ("embedded", "nf4", 1024, 4, (KEPT,)),
    ("embedded", "none", 1024, 16, ()),
    ("embedded", "none", 1024, 16, (CHECKPOINTING,)),
    ("gpt2-124m", "none", 512, 2, ()),
    ("gpt2-124m", "nf4", 512, 2, ()),
    ("gpt2-124m", "nf4", 512, 2, (KEPT,)),
    ("gpt2-124m", "none", 512, 4, (CHECKPOINTING,)),
    ("llama-62m", "none", 256, 4, ()),
    ("llama-62m", "none", 512, 4, (CHECKPOINTING,)),
    ("llama-62m", "none", 512, 12, (CHECKPOINTING,)),
    ("embedded", "none", 512, 64, (CHECKPOINTING,)),
    ("llama-deep", "none", 512, 4, ()),
    ("llama-deep", "none", 512, 4, (CHECKPOINTING,)),
)
N_QUICK = 4


def make_base(name: str, directory: Path) -> str:
    """The embedded base's name, or a new directory with random weights of that shape."""
    if name == "embedded":
        return name
    path = directory / name
    if not path.is_dir():
        from lmft.train.environment import prepare_libraries

        prepare_libraries()
        import torch
        from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig

        ends = {"bos_token_id": 0, "eos_token_id": 0}
        configs: dict[str, tuple[Any, torch.dtype]] = {
            "gpt2-124m": (GPT2Config(**ends), torch.float32),
            "llama-deep": (
                LlamaConfig(
                    vocab_size=8192,
                    hidden_size=384,
                    intermediate_size=1024,
                    num_hidden_layers=20,
                    num_attention_heads=6,
                    **ends,
                ),
                torch.bfloat16,
            ),
            "llama-62m": (
                LlamaConfig(
                    vocab_size=32_000,
                    hidden_size=512,
                    intermediate_size=1408,
                    num_hidden_layers=10,
                    num_attention_heads=8,
                    num_key_value_heads=4,
                    **ends,
                ),
                torch.bfloat16,
            ),
        }
        config, dtype = configs[name]
        AutoModelForCausalLM.from_config(config, dtype=dtype).save_pretrained(path)
        for file in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copyfile(EMBEDDED_BASE / file, path / file)
    return str(path)


def peaks(base: str, plan: dict[str, object]) -> dict[str, int]:
    """Bytes, `predicted` and `measured`."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", ROOT / "bench" / "peak.py", base, json.dumps(plan)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    if done.returncode != 0:
        raise SystemExit(f"{base} {plan} ended with {done.returncode}: {done.stderr}")
    found: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return found


def described() -> dict[str, object]:
    return {
        "cpu": machine.cpu_name(),
        "cores": machine.cpu_count(),
        "gpu": [gpu.name for gpu in machine.gpus()],
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "computes_in": machine.serving_dtype(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "transformers", "peft", "bitsandbytes")},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help=f"the first {N_QUICK} settings")
    quick = parser.parse_args().quick
    bars, measured = [], []
    with tempfile.TemporaryDirectory(prefix="lmft-bench-") as scratch:
        for name, quantization, tokens, blocks, switches in SETTINGS[: N_QUICK if quick else None]:
            plan = {"quantization": quantization, "block_tokens": tokens, "micro_blocks": blocks}
            plan |= dict.fromkeys(switches, True)
            found = peaks(make_base(name, Path(scratch)), plan)
            error = found["predicted"] / found["measured"] - 1
            label = " ".join([name, quantization, f"{blocks}x{tokens}", *switches])
            bars.append(
                {
                    "name": f"{label}: planned peak, off by",
                    "value": round(abs(error), 3),
                    "target": MAX_ERROR,
                    "ok": abs(error) <= MAX_ERROR,
                }
            )
            measured.append({"base": name, **plan, **found, "error": round(error, 3)})
            print(
                f"{label}: planned {found['predicted'] / 1e6:.0f} MB, "
                f"measured {found['measured'] / 1e6:.0f} MB ({error:+.1%})",
                flush=True,
            )
    result = {
        "what": "peak memory of a process that trains two steps, planned and measured",
        "quick": quick,
        "machine": described(),
        "measured": measured,
        "bars": bars,
    }
    if not quick:
        path = ROOT / "bench" / "results" / "plan.json"
        path.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps({"bars": bars}))


if __name__ == "__main__":
    main()
