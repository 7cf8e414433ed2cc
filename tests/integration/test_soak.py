"""Ten minutes at 16 streams while adapters come and go: no error, flat memory.

LMFT_SOAK_MINUTES makes it shorter, to try it.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from lmft import paths
from lmft.registry.adapters import get_adapter
from tests.conftest import Adapters

pytestmark = [pytest.mark.engine, pytest.mark.long]

MINUTES = float(os.environ.get("LMFT_SOAK_MINUTES", "10"))
STREAMS, ADAPTERS, RESIDENT = 16, 24, 12
# Of what is held in the middle; the gateway's part is small, so that a page more is a share.
ENGINE_GROWTH, GATEWAY_GROWTH = 1.03, 1.05


# Of the libraries that write the references.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_sixteen_streams_while_adapters_come_and_go(
    adapters: Adapters, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench.served.adapters import Copies
    from bench.served.running import serving
    from bench.served.soak import soak

    home = tmp_path / "home"
    for name in ("adapters", "bases"):
        shutil.copytree(paths.home() / name, home / name)
    monkeypatch.setenv("LMFT_HOME", str(home))
    copies = Copies(get_adapter(adapters.adventure))
    made = [copies.publish(f"soak-{number}", 0.5 + number / ADAPTERS) for number in range(ADAPTERS)]
    options = ("--slots", str(STREAMS), "--resident", str(RESIDENT))
    with serving("--model", adapters.adventure, *options) as running:
        soaked = asyncio.run(soak(running, copies, made, streams=STREAMS, seconds=60 * MINUTES))
    assert not soaked.faults, soaked.faults[:5]
    assert soaked.answers > 10 * MINUTES
    assert soaked.published == soaked.deleted > MINUTES
    if MINUTES >= 10:
        assert soaked.growth(soaked.engines) < ENGINE_GROWTH
        assert soaked.growth(soaked.gateway) < GATEWAY_GROWTH
