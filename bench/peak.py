"""The peak memory of a process that trains two steps by given settings; prints JSON.

    python bench/peak.py BASE '{"quantization": "nf4", "block_tokens": 256, ...}'

The keys are fields of lmft.train.planning.plan.Plan; `micro_blocks` blocks are a step. The text
is random.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lmft.train.environment import prepare_libraries

prepare_libraries()

import numpy as np  # noqa: E402
import torch  # noqa: E402

from lmft.bases import resolve_base  # noqa: E402
from lmft.dataset.blocks import Blocks  # noqa: E402
from lmft.train.model import load_trainable  # noqa: E402
from lmft.train.planning.memory import LIBRARY_BYTES, Setting, memory_of  # noqa: E402
from lmft.train.planning.plan import Plan, compute_device  # noqa: E402
from lmft.train.planning.shape import shape_of  # noqa: E402
from lmft.train.recipe import Recipe  # noqa: E402
from lmft.train.trainer import make_trainer  # noqa: E402

STEPS = 2


def main() -> None:
    base = resolve_base(sys.argv[1])
    recipe = Recipe(name="peak", data="none")
    device, dtype, _ = compute_device()
    given = json.loads(sys.argv[2])
    plan = Plan(
        device=device,
        compute_dtype=dtype,
        steps=STEPS,
        batch_blocks=given["micro_blocks"],
        reasons=(),
        **given,
    )
    shape = shape_of(base)
    size = plan.micro_blocks, plan.block_tokens
    ids_NT = np.random.default_rng(0).integers(1, min(8000, shape.vocabulary), size)
    blocks = Blocks(ids_NT, ids_NT, np.zeros(size, dtype=np.int32))
    setting = Setting(
        device=device,
        element_bytes=getattr(torch, dtype).itemsize,
        quantization=plan.quantization,
        rank=recipe.lora.rank,
        block_tokens=plan.block_tokens,
        micro_tokens=plan.micro_blocks * plan.block_tokens,
        checkpointing=plan.activation_checkpointing,
        keep_dequantised=plan.keep_dequantised,
        compile=plan.compile,
    )
    file_bytes = sum(file.stat().st_size for file in base.path.glob("*.safetensors"))
    predicted = memory_of(shape, base.n_parameters, file_bytes, setting).peak
    with tempfile.TemporaryDirectory() as scratch:
        model = load_trainable(base, plan, recipe.lora, 1)
        make_trainer(model, blocks, recipe, plan, Path(scratch), []).train()
    print(json.dumps({"predicted": predicted, "measured": peak_bytes(device)}))


def peak_bytes(device: str) -> int:
    """Of this process; on a GPU with what the CUDA context is taken to hold."""
    if device == "cuda":
        return torch.cuda.max_memory_reserved() + LIBRARY_BYTES["cuda"]
    # Not getrusage, whose peak a process takes over from the one that started it.
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main()
