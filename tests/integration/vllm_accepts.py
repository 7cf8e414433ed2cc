"""Run in a process of its own: whether vLLM's own LoRA manager takes adapters over their bases.

No engine is started. stdin: JSON, name to [base directory, adapter directory]; stdout, last line:
JSON, name to an empty text or to vLLM's complaint.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import torch

from serving.vllm_plugin import register

RANK = 8


def complaint(number: int, base: str, adapter: str) -> str:
    """What vLLM says against serving `adapter` over `base`; empty where it takes it."""
    from vllm.config import set_current_vllm_config
    from vllm.engine.arg_utils import EngineArgs
    from vllm.lora.request import LoRARequest
    from vllm.lora.worker_manager import WorkerLoRAManager
    from vllm.model_executor.model_loader.utils import initialize_model

    arguments = EngineArgs(
        model=base, dtype="float32", enable_lora=True, max_lora_rank=RANK, enforce_eager=True
    )
    config = arguments.create_engine_config()
    with set_current_vllm_config(config):
        _one_process()
        model = initialize_model(config)
        manager = WorkerLoRAManager(
            config, torch.device("cpu"), getattr(model, "embedding_modules", {})
        )
        manager.create_lora_manager(model, config)
        try:
            manager.add_adapter(LoRARequest(str(number), number, adapter))
        except Exception as error:
            return f"{type(error).__name__}: {error}"
    return ""


def _one_process() -> None:
    from vllm.distributed import (
        init_distributed_environment,
        initialize_model_parallel,
        model_parallel_is_initialized,
    )

    if not model_parallel_is_initialized():
        meeting = Path(tempfile.mkdtemp()) / "meeting"
        init_distributed_environment(1, 0, f"file://{meeting}", 0, "gloo")
        initialize_model_parallel(1, 1)


if __name__ == "__main__":
    register()
    asked = json.loads(sys.stdin.read())
    answers = {
        name: complaint(number, *where) for number, (name, where) in enumerate(asked.items(), 1)
    }
    print(json.dumps(answers))
