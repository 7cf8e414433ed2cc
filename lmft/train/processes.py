"""The processes of one training, as `accelerate launch` and torchrun start them.

All of them do the same work at the same time, each on a device of its own and on its share of
a step's blocks: so all make the same plan, measure and sample at the same steps, and end
together. The main one alone prints, writes and publishes. What must not be done or found twice
goes through `from_main` and `main_first`.

Without a launcher there is one process, it is the main one, and nothing here imports torch.
"""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import TypeAdapter

from lmft.errors import RecipeError, UserError
from lmft.processes import die_with_parent

if TYPE_CHECKING:
    import torch

    from lmft.train.planning.plan import Plan

T = TypeVar("T")
# Compiling a corpus may take hours. The launcher ends those that wait when one has failed.
_PATIENCE = timedelta(days=2)
_turns = itertools.count()


def count() -> int:
    """Processes that train together; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_main() -> bool:
    """The one process that prints, writes and publishes."""
    return os.environ.get("RANK", "0") == "0"


def sharded() -> bool:
    """Whether accelerate will cut the model into shards, one for each process (FSDP)."""
    return os.environ.get("ACCELERATE_USE_FSDP", "").lower() == "true"


def loading_device(kind: str) -> str:
    """torch's name of the device to load a whole base on, where `kind` (`cuda`, `cpu`) trains.

    What will be sharded may be too large for one GPU: FSDP moves it there shard by shard.
    """
    if kind == "cpu" or sharded():
        return "cpu"
    return f"{kind}:{os.environ.get('LOCAL_RANK', '0')}"


def join() -> None:
    """End when the launcher does, however that ends: by the SIGTERM that comes with it."""
    if count() > 1:
        die_with_parent(os.getppid())


def require_supported(method: str) -> None:
    """Raise UserError where the launcher asks for what lmft does not do.

    Args:
        method: the recipe's.
    """
    if count() > 1 and method != "sft":
        raise RecipeError(
            f"Method {method} trains in one process; the launcher started {count()}.",
            "Start it without accelerate launch.",
        )
    if sharded() and os.environ.get("FSDP_VERSION", "1") != "2":
        raise UserError(
            "lmft trains sharded models by FSDP 2 only.",
            "Add --fsdp_version 2 to accelerate launch (or fsdp_version: 2 to its config file).",
        )
    if os.environ.get("ACCELERATE_USE_DEEPSPEED", "").lower() == "true":
        raise UserError(
            "lmft does not train with DeepSpeed.",
            "Use accelerate launch --multi_gpu, or --use_fsdp --fsdp_version 2.",
        )


def agree(plan: Plan) -> Plan:
    """The main process's `plan`: free memory and measured speed may differ between devices."""
    if count() == 1:
        return plan
    kind = TypeAdapter(type(plan))
    plan = kind.validate_json(from_main(lambda: kind.dump_json(plan).decode()))
    if not sharded():
        return plan
    # A whole copy in each process is what shards are to avoid; compiling them is untried.
    why = "a model in shards: not compiled, 4-bit weights dequantised when they are needed"
    return replace(plan, compile=False, keep_dequantised=False, reasons=(*plan.reasons, why))


def from_main(make: Callable[[], str]) -> str:
    """What `make` gives the main process, on all of them: the others wait for it.

    All processes make these calls in the same order. When the main one fails in `make`, the
    others wait until the launcher ends them, so that there is one message.
    """
    if count() == 1:
        return make()
    key = f"lmft/{next(_turns)}"
    store = _store()
    if is_main():
        text = make()
        store.set(key, text)
        return text
    try:
        store.wait([key], _PATIENCE)
        found: bytes = store.get(key)
    except RuntimeError:
        # The store was the main process's own, and is gone with it.
        raise SystemExit(1) from None
    return found.decode()


def main_first(work: Callable[[], T]) -> T:
    """`work()` on all processes, first on the main one: the others find what it wrote."""
    if is_main():
        done = work()
        from_main(str)
        return done
    from_main(str)
    return work()


def first_to_fail() -> bool:
    """Whether this process, which ends by an error, is the first to: it alone says why.

    The others fail too, of the same fault or of missing this one.
    """
    if count() == 1:
        return True
    try:
        return int(_store().add("lmft/failed", 1)) == 1
    except RuntimeError:
        # The launcher is gone, and ends all of them.
        return is_main()


def whole_adapter(model: Any) -> dict[str, torch.Tensor]:
    """The trained parameters by name, gathered where they are sharded: a call for all processes."""
    from torch.distributed.tensor import DTensor

    return {
        name: parameter.full_tensor() if isinstance(parameter, DTensor) else parameter.detach()
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }


def leave() -> None:
    """Take down what connects the processes, when all is done."""
    if count() > 1:
        import torch

        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


@functools.cache
def _store() -> Any:
    """The launcher's key-value store, over which the processes find each other anyway."""
    from torch.distributed.rendezvous import rendezvous

    store, _, _ = next(rendezvous("env://", timeout=_PATIENCE))
    return store
