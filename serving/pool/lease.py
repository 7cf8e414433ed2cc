"""A model that may be asked now, held while it is being asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from lmft.dataset.encode import Encoder
from serving.engine.client import EngineClient
from serving.pool.served import ServedModel


@dataclass(frozen=True)
class Lease:
    """What a request needs of a model, for as long as its answer takes.

    An adapter is not unloaded and an engine not put to sleep before its leases have ended.

    Attributes:
        client: the engine that has the model loaded under `model.engine_name`.
        encoder: the base's tokenizer, the same object that training uses.
        context_length: of the engine, in tokens; no contract can go beyond it.
    """

    model: ServedModel
    client: EngineClient
    encoder: Encoder
    context_length: int
    release: Callable[[], None]

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()
