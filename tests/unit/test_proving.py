"""What goes wrong in a proof: whose fault it is decides whether it is tried again."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from lmft.errors import EngineError, ProbeFailedError
from serving.engine.refusals import AdapterRefused, UpstreamRefusal
from serving.pool import proving
from serving.pool.proving import Prover, prove_merged


def client(*, alive: bool) -> Any:
    async def healthy() -> bool:
        return alive

    return SimpleNamespace(healthy=healthy)


@pytest.mark.parametrize(
    ("error", "alive", "said"),
    [
        (AdapterRefused("it died"), False, EngineError),
        (AdapterRefused("no"), True, ProbeFailedError),
        (UpstreamRefusal(400, "no such token"), True, ProbeFailedError),
        (KeyError("choices"), True, ProbeFailedError),
        (ValueError("shorter"), True, ProbeFailedError),
        (ZeroDivisionError(), True, ProbeFailedError),
        (EngineError("lost"), True, EngineError),
    ],
    ids=repr,
)
def test_an_engine_that_is_lost_is_told_from_an_adapter_that_is_wrong(
    monkeypatch: pytest.MonkeyPatch, error: Exception, alive: bool, said: type[Exception]
) -> None:
    async def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(proving, "probe", fail)
    monkeypatch.setattr(proving, "probe_merged", fail)
    adapter: Any = SimpleNamespace(id="ft:x:me:x:00000000")
    with pytest.raises(said):
        asyncio.run(Prover(client(alive=alive), "base", 2, {}).prove(adapter, "own", 8))
    if not isinstance(error, AdapterRefused):
        with pytest.raises(said):
            asyncio.run(prove_merged(client(alive=alive), adapter, "own", {}))
