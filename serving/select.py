"""What to serve: from a model's name to the base variant, its contract and the adapters to warm."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lmft.bases import Base, inspect_base, resolve_base
from lmft.dataset.encode import Encoder
from lmft.errors import NotFoundError
from lmft.format.contract import FormatContract, default_stops
from lmft.paths import bases_dir
from lmft.registry.adapters import Adapter, get_adapter, list_adapters
from lmft.train.servable import slot_rank
from serving.engine.live import ServedModel
from serving.engine.process import EngineSettings

# What vLLM must be able to hold for one request; longer contexts cost memory at the start.
MAX_CONTEXT = 8192


@dataclass(frozen=True)
class Selection:
    base: Base
    served_base: ServedModel
    settings: EngineSettings
    variant: str | None
    encoder: Encoder
    warm: tuple[str, ...]
    strict: bool


def select(model: str | None, base_name: str = "embedded") -> Selection:
    """Serve the base that `model` (an adapter, else the newest one) was trained on.

    Without any adapter the base itself is served, as it is.

    Raises:
        NotFoundError: no such adapter, or its base variant is gone. BaseModelError.
    """
    adapters = list_adapters()
    chosen = get_adapter(model) if model else (adapters[0] if adapters else None)
    if chosen is None:
        base, variant = resolve_base(base_name), None
    else:
        base, variant = _variant_base(chosen), chosen.manifest.variant
    siblings = [adapter for adapter in adapters if adapter.manifest.variant == variant]
    context = min(base.context_length, MAX_CONTEXT)
    contract = FormatContract(
        kind="base",
        stop=default_stops("base", None),
        eos=base.eos_token,
        context_length=context,
        fold_quotes=base.fold_quotes,
    )
    return Selection(
        base=base,
        served_base=ServedModel(base.alias, base.alias, "base", contract),
        settings=EngineSettings(
            base_path=base.path,
            base_alias=base.alias,
            context_length=context,
            max_rank=slot_rank(max([16, *(adapter.manifest.rank for adapter in siblings)])),
        ),
        variant=variant,
        encoder=Encoder(base.path, base.eos_token),
        warm=(str(chosen.id),) if chosen else (),
        strict=model is not None,
    )


def _variant_base(adapter: Adapter) -> Base:
    path: Path = bases_dir() / adapter.manifest.variant
    if not path.is_dir():
        raise NotFoundError(
            f"The base {adapter.manifest.variant}, which {adapter.id} was trained on, is gone.",
            "Train the adapter again; its recipe.yaml lies beside it.",
        )
    return inspect_base(path, adapter.manifest.base, alias=adapter.id.base)
