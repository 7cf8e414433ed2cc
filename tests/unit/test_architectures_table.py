"""docs/architectures.md says of each architecture what lmft.train.servable says."""

from __future__ import annotations

from lmft.train.servable import (
    LOCAL_ARCHITECTURES,
    LORA_ARCHITECTURES,
    MERGED_ARCHITECTURES,
    service_of,
)
from tests.conftest import ROOT
from tests.tiny import ARCHITECTURES


def rows() -> list[list[str]]:
    lines = (ROOT / "docs" / "architectures.md").read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "|" in line]
    return cells[2:]


def test_every_tiny_model_and_every_architecture_that_is_served_has_a_row() -> None:
    assert [row[0] for row in rows()] == list(ARCHITECTURES)
    known = LORA_ARCHITECTURES | MERGED_ARCHITECTURES | LOCAL_ARCHITECTURES
    assert {row[1] for row in rows()} == known


def test_the_table_serves_each_as_the_server_does() -> None:
    for name, architecture, service, *_ in rows():
        assert service == service_of(architecture, name)


def test_each_row_has_a_proof_that_the_probe_would_accept() -> None:
    for name, _, service, targets, effect, *differences, greedy in rows():
        assert targets, name
        given = [float(value) for value in differences if value]
        assert len(given) == (1 if service == "merged" else 3), name
        # In fp32; the probe allows a tenth, for bf16.
        assert max(given) < 0.01 * float(effect), name
        assert greedy == "100%", name
