"""The table of what can be served, held against vLLM's own classes and limits."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from lmft.train.servable import LORA_ARCHITECTURES, RANKS
from tests.conftest import ROOT

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


def ask_vllm(names: list[str]) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _ASK],
        input=json.dumps(names),
        capture_output=True,
        text=True,
        timeout=600,
        env=os.environ.copy(),
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return answer


def test_vllm_serves_lora_for_every_architecture_of_the_table_at_its_ranks() -> None:
    refused = "BloomForCausalLM"
    answer = ask_vllm([*sorted(LORA_ARCHITECTURES), refused])
    assert answer["lora"] == {**dict.fromkeys(LORA_ARCHITECTURES, True), refused: False}
    assert tuple(answer["ranks"]) == RANKS  # type: ignore[arg-type]
