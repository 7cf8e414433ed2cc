"""How fast the embedded base is trained here, by block length, arithmetic and compiler.

    python bench/pretrain.py [--quick]

Tokens a second of whole steps of 8,192 tokens, one setting after the other over the same random
tokens; the first step of each, which compiles, is left out. The bar: what `lmft pretrain` chooses
by itself for its recipe is not much slower than the fastest that was measured. `--quick` has two
steps a setting and blocks of 1024 only.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from lmft import machine  # noqa: E402
from lmft.bases import resolve_base  # noqa: E402
from lmft.pretrain.loop import compiles  # noqa: E402
from lmft.pretrain.recipe import (  # noqa: E402
    Training,
    find_pretraining,
    load_pretraining,
)
from lmft.pretrain.shape import model_from  # noqa: E402
from lmft.pretrain.steps import Batches, Optimizers, loss_of, train_step  # noqa: E402
from lmft.train.environment import prepare_libraries  # noqa: E402

STEP_TOKENS, MICRO_TOKENS = 8192, 2048
TARGET = 0.9


def tokens_per_second(block_tokens: int, bf16: bool, compiled: bool, n_steps: int) -> float:
    """Of whole steps: passes forward and backward, and both optimizers."""
    import torch

    torch.manual_seed(0)
    torch._dynamo.reset()
    model = model_from(resolve_base("embedded")).train()
    if torch.cuda.is_available():
        model = model.cuda()
    # At a rate of next to nothing: random tokens teach nothing good.
    optimizers = Optimizers(model, Training(tokens=1, learning_rate=1e-9))
    tokens_N = np.random.default_rng(0).integers(0, model.config.vocab_size, 20 * STEP_TOKENS)
    batches = Batches(tokens_N, block_tokens, STEP_TOKENS, MICRO_TOKENS, seed=1)
    with (
        patch("lmft.pretrain.steps.mixes_bf16", lambda _: bf16),
        patch("lmft.pretrain.muon.mixes_bf16", lambda _: bf16),
    ):
        loss = loss_of(model, compiled=compiled)
        train_step(model, loss, batches, 0, optimizers, 1.0)
        began = time.perf_counter()
        for step in range(1, n_steps + 1):
            train_step(model, loss, batches, step, optimizers, 1.0)
        return n_steps * STEP_TOKENS / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    prepare_libraries()
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    found: list[dict[str, Any]] = []
    for block_tokens in (1024,) if quick else (256, 512, 1024):
        for bf16 in (False, True) if machine.mixes_bf16(device) else (False,):
            for compiled in (False, True):
                speed = tokens_per_second(block_tokens, bf16, compiled, 2 if quick else 5)
                setting = {"block_tokens": block_tokens, "bf16": bf16, "compiled": compiled}
                found.append({**setting, "tokens_per_second": round(speed)})
                print(found[-1], flush=True)
    recipes = [one for one in found if one["block_tokens"] == 1024]
    model = model_from(resolve_base("embedded")).to(device)
    # Of the recipe only its steps are wanted, so any text will do.
    recipe = load_pretraining(find_pretraining("embedded-base"), data=Path(__file__))
    by_itself = {"bf16": machine.mixes_bf16(device), "compiled": compiles(recipe.training, model)}
    chosen = next(one for one in recipes if by_itself.items() <= one.items())
    share = chosen["tokens_per_second"] / max(one["tokens_per_second"] for one in recipes)
    bars = [
        {
            "name": "what lmft pretrain chooses, of the fastest",
            "value": round(share, 3),
            "target": TARGET,
            "ok": share >= TARGET,
        }
    ]
    result = {
        "what": "training the embedded base, tokens a second",
        "quick": quick,
        "machine": {
            "cpu": machine.cpu_name(),
            "cores": machine.cpu_count(),
            "device": device,
            "python": platform.python_version(),
        },
        "settings": found,
        "bars": bars,
    }
    if not quick:
        results = ROOT / "bench" / "results" / "pretrain.json"
        results.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps({"bars": bars}))


if __name__ == "__main__":
    main()
