"""The table of what can be served, held against vLLM's own classes and limits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lmft.train.planning.plan import Plan
from lmft.train.recipe import Lora
from lmft.train.servable import (
    LOCAL_ARCHITECTURES,
    LORA_ARCHITECTURES,
    MERGED_ARCHITECTURES,
    RANKS,
)
from tests.conftest import ROOT
from tests.integration.vllm_accepts import RANK
from tests.tiny import ARCHITECTURES, make_base

pytestmark = pytest.mark.engine

# In a process of its own, as vLLM leaves much behind. A class that vLLM loads by name and that
# declares LoRA; or one that it has given to its Transformers backend, which does.
_ASK = """
import json, typing
from serving.vllm_plugin import register
register()
from vllm.config.lora import MaxLoRARanks
from vllm.model_executor.models.interfaces import supports_lora
from vllm.model_executor.models.registry import ModelRegistry
names = json.loads(input())
answer = {}
for name in names:
    loaded = ModelRegistry._try_load_model_cls(name)
    answer[name] = loaded is not None and bool(supports_lora(loaded))
print(json.dumps({"lora": answer, "ranks": typing.get_args(MaxLoRARanks)}))
"""


def in_vllm(*arguments: str, asked: object) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *arguments],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=900,
        env=os.environ.copy(),
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def test_vllm_serves_lora_for_the_architectures_of_the_table_alone_at_its_ranks() -> None:
    # What says it takes LoRA and does not is merged all the same: see the table's own note.
    silent = {"GPTBigCodeForCausalLM"}
    asked = sorted(LORA_ARCHITECTURES | MERGED_ARCHITECTURES | LOCAL_ARCHITECTURES)
    answer = in_vllm("-c", _ASK, asked=asked)
    assert answer["lora"] == {name: name in LORA_ARCHITECTURES | silent for name in asked}
    assert tuple(answer["ranks"]) == RANKS


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize(
    "names",
    [("gpt2", "opt_projected"), pytest.param(tuple(ARCHITECTURES), marks=pytest.mark.long)],
    ids=["two", "all"],
)
def test_vllm_takes_our_adapters_over_the_bases_of_the_table(
    names: tuple[str, ...], tmp_path: Path
) -> None:
    """Config, names and shapes, through vLLM's own LoRA manager over its own model."""
    from lmft.train.model import add_lora, load_base
    from lmft.train.processes import whole_adapter
    from lmft.train.weights import save_adapter

    plan = Plan("cpu", "none", "float32", 64, 4, 1, ())
    made, seen = {}, set()
    for name in names:
        base = make_base(tmp_path / name, name)
        if base.architecture in LORA_ARCHITECTURES:
            model = add_lora(load_base(base, plan), Lora(rank=RANK), seed=1)
            adapter = tmp_path / f"{name}-adapter"
            save_adapter(model, whole_adapter(model), adapter, base)
            made[name] = [str(base.path), str(adapter)]
            seen.add(base.architecture)
    assert seen == LORA_ARCHITECTURES or len(names) < len(ARCHITECTURES)
    answer = in_vllm("-m", "tests.integration.vllm_accepts", asked=made)
    assert answer == dict.fromkeys(made, "")
