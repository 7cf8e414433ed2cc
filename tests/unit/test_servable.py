"""The refusal of bases that cannot be served says what works and what is coming."""

from __future__ import annotations

import pytest

from lmft.errors import BaseModelError
from lmft.train.servable import COMING_ARCHITECTURES, LORA_ARCHITECTURES, require_servable


@pytest.mark.parametrize("architecture", sorted(LORA_ARCHITECTURES))
def test_what_vllm_serves_is_let_through(architecture: str) -> None:
    require_servable(architecture, "some/base")


@pytest.mark.parametrize("architecture", [*sorted(COMING_ARCHITECTURES), "MambaForCausalLM"])
def test_what_nothing_serves_is_refused_with_both_lists(architecture: str) -> None:
    with pytest.raises(BaseModelError, match=f"some/base is a {architecture}") as refusal:
        require_servable(architecture, "some/base")
    assert ("not serve yet" in str(refusal.value)) == (architecture in COMING_ARCHITECTURES)
    for known in LORA_ARCHITECTURES | COMING_ARCHITECTURES:
        assert known in refusal.value.hint
