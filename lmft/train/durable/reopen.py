"""A run to go on with: found, owned, its recipe changed where that may be; or refused."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from lmft import paths
from lmft.errors import MachineError, NotFoundError, UserError
from lmft.train import processes
from lmft.train.durable.jobkey import require_same_job
from lmft.train.durable.runs import (
    RECORD_FILE,
    Run,
    follow_run,
    read_record,
    take_lock,
    tell_followers,
)
from lmft.train.recipe import Recipe, load_recipe


class NoProgressError(MachineError):
    """It broke down twice at one step: it would again."""

    code = "no_progress"


_PLANNED = ("micro_blocks", "activation_checkpointing", "compile")


def reopen(name: str | None, overrides: Sequence[str]) -> tuple[Recipe, Run]:
    """The run of that id or key, or the newest unfinished one, and the recipe to go on by.

    Raises:
        NotFoundError, UserError: no such run, or nothing left to do.
        RecipeError: `overrides` would make another job of it.
        MachineError: another process trains it, or nothing has changed since it failed.
    """
    if not processes.is_main():
        run = follow_run()
        return load_recipe(run.recipe_file, overrides), run
    run = open_run(name)
    try:
        before = load_recipe(run.recipe_file)
        after = load_recipe(run.recipe_file, overrides)
        require_same_job(before, after, overrides)
        if not overrides:
            _require_hope(run)
    except BaseException:
        run.close()
        raise
    if any(getattr(before.training, key) != getattr(after.training, key) for key in _PLANNED):
        run.plan_afresh()
    tell_followers(run)
    return after, run


def _require_hope(run: Run) -> None:
    again = f"lmft train --resume {run.id} --set"
    stuck = run.record.stuck_at()
    if stuck is not None:
        run.set_state("failed")
        raise NoProgressError(
            f"Run {run.id} broke down twice at step {stuck} without getting further; it is not "
            "tried a third time as it is.",
            f"Less memory may help: {again} training.micro_blocks=1",
        )
    if run.record.state == "failed":
        last = run.record.attempts[-1]
        raise MachineError(
            f"Run {run.id} failed ({last.ended}) and would again. {last.detail}",
            f"Change something, for example: {again} training.learning_rate=...",
        )


def open_run(name: str | None) -> Run:
    """The run of that id or key, or the newest unfinished one; this process owns it then.

    Raises:
        NotFoundError: none; MachineError: another process trains it; UserError: it is finished.
    """
    if name is not None:
        found = [one for one in _runs() if name in (one.name, one.name.rpartition("-")[2])]
        if not found:
            raise NotFoundError(f"No run {name} in {paths.runs_dir()}.", _known())
        return _owned(found[0])
    busy: MachineError | None = None
    for directory in _runs():
        if read_record(directory).state in ("running", "stopped"):
            try:
                return _owned(directory)
            except MachineError as error:
                busy = error
    raise busy or NotFoundError("No run is unfinished.", _known())


def _owned(directory: Path) -> Run:
    lock = take_lock(directory)
    # Read under the lock: until then its owner may have written.
    run = Run(directory, read_record(directory), lock)
    if run.record.state == "published":
        run.close()
        raise UserError(
            f"Run {run.id} is finished: {run.record.adapter}.",
            f"Play it: lmft play {run.adapter_id.key}",
        )
    if run.record.attempts and run.record.attempts[-1].ended is None:
        run.end("died", "stopped")
    return run


def _runs() -> list[Path]:
    """Directories of all readable runs, newest first."""
    found = []
    for file in paths.runs_dir().glob(f"[!.]*/{RECORD_FILE}"):
        with contextlib.suppress(MachineError):
            found.append((read_record(file.parent).created_at, file.parent))
    return [directory for _, directory in sorted(found, reverse=True)]


def _known() -> str:
    states = {one.name: read_record(one).state for one in _runs()}
    left = [f"{name} ({state})" for name, state in states.items() if state != "published"]
    return f"There are: {', '.join(left)}." if left else "Start one: lmft train adventure"
