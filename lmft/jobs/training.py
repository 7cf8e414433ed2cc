"""A job trained to a published adapter, from wherever the attempts before have come to. In the
process of `lmft.jobs.child`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from lmft import paths
from lmft.corpus.store import is_compiled
from lmft.jobs.chosen_recipe import chosen
from lmft.jobs.folder import JobFolder
from lmft.jobs.spec import Spec
from lmft.registry.adapters import Adapter, get_adapter, verify
from lmft.train.durable.record import State
from lmft.train.durable.reopen import reopen
from lmft.train.durable.runs import RECORD_FILE, read_record


def train(folder: JobFolder, attempt: int) -> dict[str, Any]:
    """Train it, or what is left of it; publish unless the fence has moved on.

    Raises:
        FencedError: another attempt has taken over, or it is being cancelled.
        LmftError, Stopped: see lmft.train.run.
    """
    folder.require(attempt)
    spec = Spec.read(folder)
    adapter = _trained(folder, spec, attempt)
    verify(adapter)
    return {"model": str(adapter.id), "trained_tokens": adapter.manifest.training.tokens}


def _trained(folder: JobFolder, spec: Spec, attempt: int) -> Adapter:
    console = Console(emoji=False, width=200)
    state = _state(spec)
    if state == "published":
        # By an attempt that died before it could say so.
        return get_adapter(spec.adapter)
    if state is None:
        recipe, resumed = chosen(spec, folder), None
    else:
        recipe, resumed = reopen(spec.adapter_id.directory, ())
    try:
        if not is_compiled(Path(recipe.data)):
            # Somebody has cleared it away; the files are here.
            recipe = recipe.model_copy(update={"data": chosen(spec, folder).data})
        from lmft.train.prepare import prepare

        job = prepare(recipe)
        from lmft.train.environment import prepare_libraries

        prepare_libraries()
        from lmft.train.run import run
    except BaseException:
        if resumed is not None:
            resumed.close()
        raise
    may_publish = partial(folder.require, attempt)
    return run(job, console, resumed, adapter_id=spec.adapter_id, may_publish=may_publish)


def _state(spec: Spec) -> State | None:
    """Of its run; None where no attempt has come so far as to begin one."""
    directory = paths.runs_dir() / spec.adapter_id.directory
    return read_record(directory).state if (directory / RECORD_FILE).exists() else None
