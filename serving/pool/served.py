"""What the pool hands out: a model that may answer, a line of the list of models, its status."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lmft.format.contract import FormatContract
from lmft.train.servable import Service
from serving.engine.probe import ProbeResult

State = Literal["live", "loading", "idle", "failed"]


@dataclass(frozen=True)
class ServedModel:
    """A model that may answer now.

    Attributes:
        engine_name: what the engine calls it; internal and versioned, never shown.
        fingerprint: `base`, or the first 12 hex digits of the adapter's hash.
    """

    id: str
    engine_name: str
    fingerprint: str
    contract: FormatContract


@dataclass(frozen=True)
class Listed:
    """One model that can be asked for.

    Attributes:
        created: Unix time.
        base: public name of its base. fingerprint: as in ServedModel.
        state: `live` answers at once; `loading` will; `idle` loads when asked; `failed` does not.
        service: how it is served. alias_of: the version that an alias means now.
        detail: why it failed, or why it is served otherwise than its architecture would be.
    """

    id: str
    created: int
    owner: str
    contract: FormatContract
    base: str
    fingerprint: str
    state: State
    probe: ProbeResult | None
    service: Service
    alias_of: str | None = None
    detail: str = ""


@dataclass(frozen=True)
class Status:
    """Attributes:
    phase: what is being done, in words for people; detail: the error of a failure.
    """

    status: Literal["starting", "ready", "failed"]
    phase: str
    detail: str = ""
