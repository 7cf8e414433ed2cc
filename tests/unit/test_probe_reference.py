"""The reference of a proof: one that cannot be compared is refused where it is read."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from lmft.errors import ProbeFailedError
from serving.engine.reference import Reference

PROMPT = {
    "token_ids": [1, 2, 3],
    "base_logprobs": [-2.0, -2.0],
    "adapter_logprobs": [-1.0, -1],
    "greedy_tokens": [5, 6],
    "greedy_gaps": [1.0, 1.0],
}


def read(tmp_path: Path, *prompts: Any) -> Reference:
    (tmp_path / "probe.json").write_text(json.dumps({"prompts": prompts}))
    return Reference.read(tmp_path)


def test_one_that_can_be_compared_is_read(tmp_path: Path) -> None:
    reference = read(tmp_path, PROMPT, PROMPT)
    assert reference.ids == [[1, 2, 3]] * 2
    assert reference.n_greedy == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"token_ids": [1]},
        {"token_ids": [1, 2]},
        {"token_ids": ["a", "b", "c"]},
        {"token_ids": [1, 2.5, 3]},
        {"token_ids": None},
        {"base_logprobs": [-1.0]},
        {"base_logprobs": None},
        {"adapter_logprobs": [-1.0, -1.0, -1.0]},
        {"adapter_logprobs": [-1.0, None]},
        {"adapter_logprobs": "ab"},
        {"greedy_tokens": [5]},
        {"greedy_tokens": [], "greedy_gaps": []},
        {"greedy_tokens": [5, 6, 7], "greedy_gaps": [1.0] * 3},
        {"greedy_gaps": []},
        {"greedy_gaps": [1.0, True]},
        {"token_ids": [1], "base_logprobs": [], "adapter_logprobs": []},
    ],
    ids=str,
)
def test_numbers_without_a_counterpart_are_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(ProbeFailedError, match="cannot be used"):
        read(tmp_path, PROMPT, PROMPT | changes)


def test_one_that_says_nothing_of_rounding_had_none(tmp_path: Path) -> None:
    assert read(tmp_path, PROMPT).rounding == 0
    written = {"rounding_nats": 0.01, "prompts": [PROMPT]}
    (tmp_path / "probe.json").write_text(json.dumps(written))
    assert Reference.read(tmp_path).rounding == 0.01


@pytest.mark.parametrize("rounding", ["much", None, -0.1, math.inf, math.nan])
def test_a_rounding_of_which_no_bound_can_come_is_refused(tmp_path: Path, rounding: Any) -> None:
    written = {"rounding_nats": rounding, "prompts": [PROMPT]}
    (tmp_path / "probe.json").write_text(json.dumps(written))
    with pytest.raises(ProbeFailedError, match="cannot be used"):
        Reference.read(tmp_path)


@pytest.mark.parametrize("prompts", [[], [None], ["a"], [[]], [{}]])
def test_what_is_no_reference_is_refused(tmp_path: Path, prompts: list[Any]) -> None:
    with pytest.raises(ProbeFailedError, match="cannot be used"):
        read(tmp_path, *prompts)
