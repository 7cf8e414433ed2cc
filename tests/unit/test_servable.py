"""How each architecture is served, and the refusal of those that are not."""

from __future__ import annotations

import pytest

from lmft.errors import BaseModelError
from lmft.train.servable import (
    LOCAL_ARCHITECTURES,
    LORA_ARCHITECTURES,
    MERGED_ARCHITECTURES,
    in_words,
    service_of,
)

KNOWN = LORA_ARCHITECTURES | MERGED_ARCHITECTURES | LOCAL_ARCHITECTURES


@pytest.mark.parametrize(
    ("architecture", "service"),
    [
        ("LlamaForCausalLM", "lora"),
        ("GPTJForCausalLM", "lora"),
        ("FalconForCausalLM", "merged"),
        ("GPTBigCodeForCausalLM", "merged"),
        ("GPTNeoForCausalLM", "transformers"),
    ],
)
def test_an_architecture_is_served_in_its_one_way(architecture: str, service: str) -> None:
    assert service_of(architecture, "some/base") == service


def test_every_known_architecture_is_served_in_just_one_way_that_has_words() -> None:
    sizes = map(len, (LORA_ARCHITECTURES, MERGED_ARCHITECTURES, LOCAL_ARCHITECTURES))
    assert sum(sizes) == len(KNOWN)
    assert len({in_words(service_of(known, "some/base")) for known in KNOWN}) == 3


def test_what_nothing_serves_is_refused_with_the_list_of_what_works() -> None:
    with pytest.raises(BaseModelError, match="some/base is a MambaForCausalLM") as refusal:
        service_of("MambaForCausalLM", "some/base")
    assert all(known in refusal.value.hint for known in KNOWN)
