"""lmft's own check of LoRA configurations against vLLM's PEFTHelper: the same verdict on each."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from lmft.registry.accepted import complaints
from tests.conftest import ROOT

pytestmark = pytest.mark.engine

MAX_RANK = 64
PLAIN = {"r": 16, "lora_alpha": 32, "target_modules": ["c_attn"]}
CHANGES: list[dict[str, Any]] = [
    {},
    *({"r": rank} for rank in (1, 64, 65, 1024, 0, -1)),
    *({name: None} for name in PLAIN),
    {"rank_pattern": {"c_fc": 64}},
    {"rank_pattern": {"c_fc": 128}},
    {"rank_pattern": {"c_fc": 0}},
    {"rank_pattern": {"c_fc": "8"}},
    {"alpha_pattern": {"c_fc": 4}},
    {"use_rslora": True},
    {"use_dora": True},
    {"use_dora": False},
    *({"bias": bias} for bias in ("none", "all", "lora_only")),
    {"lora_bias": True},
    {"modules_to_save": []},
    {"modules_to_save": ["lm_head"]},
    {"modules_to_save": ["score", "classifier"]},
    {"modules_to_save": ["score", "embed_tokens"]},
    *(
        {"init_lora_weights": init}
        for init in (
            *(True, False, "gaussian", "Gaussian", "eva", "orthogonal", "mica", "lora_ga"),
            *("pissa", "pissa_niter_16", "olora", "corda", "loftq"),
        )
    ),
    {"alora_invocation_tokens": [1, 2]},
    {"alora_invocation_tokens": []},
    {"layer_replication": [[0, 2], [1, 3]]},
    {"use_bdlora": {"nblocks": 2}},
    {"use_bdlora": {}},
    {"use_qalora": True},
    {"peft_type": "LORA", "something_new": 1, "lora_dropout": 0.1},
]
PROGRAM = """
import json, sys, types
from vllm.lora.peft_helper import PEFTHelper

def verdict(config):
    try:
        limit = types.SimpleNamespace(max_lora_rank=int(sys.argv[1]))
        PEFTHelper.from_dict(config).validate_legal(limit)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""

print(json.dumps([verdict(config) for config in json.load(sys.stdin)]))
"""


def configurations() -> list[dict[str, Any]]:
    changed = [PLAIN | change for change in CHANGES]
    return [
        {key: value for key, value in config.items() if value is not None} for config in changed
    ]


def test_what_lmft_lets_through_and_refuses_is_what_vllm_does() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(MAX_RANK)],
        input=json.dumps(configurations()),
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    verdicts = json.loads(done.stdout.splitlines()[-1])
    ours = [complaints(config, MAX_RANK) for config in configurations()]
    unlike = [
        (change, theirs, mine)
        for change, theirs, mine in zip(CHANGES, verdicts, ours, strict=True)
        if bool(theirs) != bool(mine)
    ]
    assert not unlike
    # Both kinds are there, so that the comparison says something.
    assert {bool(theirs) for theirs in verdicts} == {True, False}
