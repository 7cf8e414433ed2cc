"""PEFT's two files of an adapter: weights and configuration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lmft.bases import Base

WEIGHT_FILES = ("adapter_model.safetensors", "adapter_config.json")


def save_adapter(model: Any, adapter: dict[str, Any], directory: Path, base: Base) -> None:
    """Write them: loadable over the served base, and free of paths of this machine.

    Args:
        adapter: from `lmft.train.processes.whole_adapter`.
    """
    model.save_pretrained(
        directory, state_dict=adapter, safe_serialization=True, save_embedding_layers=False
    )
    (directory / "README.md").unlink(missing_ok=True)
    file = directory / "adapter_config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = base.alias
    # The quantised GPT-2 was trained as Linear, the served one is Conv1D, which is transposed.
    config["fan_in_fan_out"] = base.architecture == "GPT2LMHeadModel"
    file.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
