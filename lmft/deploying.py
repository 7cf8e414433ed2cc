"""`lmft models deploy` and `rollback`: a wish in the store, which a running server fulfils."""

from __future__ import annotations

import time

from rich.console import Console

from lmft.device.records import Serving
from lmft.device.registered import living
from lmft.errors import EngineError, InputError, NotFoundError, ProbeFailedError
from lmft.ids import is_alias
from lmft.registry.adapters import Adapter, get_adapter, verify
from lmft.store.database import open_store
from lmft.store.deployments import Deployment, Deployments

# An engine may have to start, and a large adapter to be merged.
WAIT_SECONDS = 1800.0
_POLL_SECONDS = 0.1


def what_next(adapter: Adapter) -> str:
    """A line for who has just trained it."""
    key = adapter.id.key
    if living(Serving):
        return f"Play it: lmft play {key}    The running server makes it live as {adapter.id.alias}"
    return f"Play it: lmft play {key}    Serve it: lmft serve --model {key}"


def deploy(model: str, console: Console) -> None:
    """Let an adapter's alias mean this version.

    Args:
        model: an id or a key, or a name for the newest version that has it.

    Raises:
        NotFoundError, AdapterCorruptError, InputError: nothing is wanted then. See `_fulfil`.
    """
    _fulfil(Deployments(open_store()), _version(model), "deployed by hand", console)


def rollback(model: str, console: Console) -> None:
    """Let an alias mean what it meant before; once more, and it is as it was.

    Args:
        model: the alias, its last part, or any version of it.

    Raises:
        NotFoundError: no such alias, or it has only ever meant one version.
        InputError: a checkpoint. See `_fulfil`.
    """
    deployments = Deployments(open_store())
    alias = model if is_alias(model) else _version(model).id.alias
    before = deployments.before(alias)
    if before is None:
        raise NotFoundError(
            f"{alias} has meant no other version yet.",
            "`lmft models list` shows what there is; `lmft models deploy ID` chooses one.",
        )
    _fulfil(deployments, get_adapter(before), "rolled back", console)


def _version(model: str) -> Adapter:
    found = get_adapter(model)
    if found.id.is_checkpoint:
        raise InputError(
            f"{found.id} is a checkpoint, which no alias can mean.",
            "Ask for it by its id; any server that runs over this folder serves it.",
        )
    return found


def _fulfil(deployments: Deployments, adapter: Adapter, reason: str, console: Console) -> None:
    """Write the wish and, where a server is there to fulfil it, wait for what becomes of it.

    Raises:
        ProbeFailedError: the server refused it; what was live is live. EngineError: it has not
            answered in half an hour.
    """
    verify(adapter)
    alias, adapter_id = adapter.id.alias, str(adapter.id)
    was = deployments.live().get(alias)
    number = deployments.want(alias, adapter_id, reason)
    if not living(Serving):
        console.print(
            f"{alias} will mean {adapter_id}: no server runs, the next `lmft serve` sees to it.",
            soft_wrap=True,
        )
        return
    with console.status(f"  loading and proving {adapter_id}"):
        outcome = _outcome(deployments, alias, number)
    if outcome.state == "failed":
        raise ProbeFailedError(f"{alias} stays as it was: {outcome.detail}")
    before = f" (before: {was})" if was and was != adapter_id else ""
    if outcome.state == "superseded":
        console.print(f"{alias}: a newer wish came first.", soft_wrap=True)
    else:
        console.print(f"{alias} now means {adapter_id}{before}.", soft_wrap=True)


def _outcome(deployments: Deployments, alias: str, number: int) -> Deployment:
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        wish = next(entry for entry in deployments.history(alias) if entry.id == number)
        if wish.state != "wanted":
            return wish
        time.sleep(_POLL_SECONDS)
    raise EngineError(
        f"The server has not changed {alias} over within {WAIT_SECONDS:.0f} s.",
        "The wish is kept; GET /v1/models shows what is live.",
    )
