"""Runs on disk: each training has a directory that outlives its process, and one owner at a time.

$LMFT_HOME/runs/NAME-KEY/
  run.json      what it is, and how each attempt at it went
  recipe.yaml   frozen: what `auto` became is written out
  lock          held (flock) by the process that trains; the kernel frees it when that dies
  reached       the step that the attempt in progress has reached
  checkpoints/, quarantine/, and what lmft.train.watch writes
"""

from __future__ import annotations

import fcntl
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from pydantic import ValidationError

from lmft import ids, paths
from lmft.errors import InputError, MachineError
from lmft.train import processes
from lmft.train.durable.jobkey import JobKey
from lmft.train.durable.record import Attempt, Ending, Record, State, Tuning
from lmft.train.planning.plan import Plan
from lmft.train.recipe import Recipe, dump_recipe

RECORD_FILE, _RECIPE, _LOCK, _REACHED = "run.json", "recipe.yaml", "lock", "reached"
_DETAIL_CHARACTERS = 500
_REACHED_BYTES = 12


class Run:
    """A run that this process owns until it leaves the `with` block, or dies."""

    def __init__(self, directory: Path, record: Record, lock: int) -> None:
        self.directory = directory
        self.record = record
        self._lock = lock
        self._reached = os.open(directory / _REACHED, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give it up; another process may train it then."""
        os.close(self._reached)
        os.close(self._lock)

    @property
    def id(self) -> str:
        return self.directory.name

    @property
    def recipe_file(self) -> Path:
        return self.directory / _RECIPE

    @property
    def checkpoints_dir(self) -> Path:
        return self.directory / "checkpoints"

    @property
    def adapter_id(self) -> ids.AdapterId:
        parsed = ids.parse_adapter_id(self.record.adapter)
        if parsed is None:
            raise MachineError(
                f"{self.directory / RECORD_FILE} names no adapter.", "Train it again."
            )
        return parsed

    def require(self, job: JobKey) -> None:
        """Raise InputError when base or text are not the ones that this run began with."""
        if odd := self.record.job.differences(job):
            raise InputError(
                f"{' and '.join(odd)} of run {self.id} changed since it began.",
                "Put back what it was, or start again with lmft train RECIPE.",
            )

    def begin(self, recipe: Recipe, tuning: Tuning, first_step: int) -> None:
        """Another attempt, by these settings."""
        _write(self.recipe_file, dump_recipe(recipe))
        attempt = Attempt(
            started_at=datetime.now(UTC), first_step=first_step, micro_blocks=tuning.micro_blocks
        )
        with paths.disk_errors(self.directory):
            os.pwrite(self._reached, b" " * _REACHED_BYTES, 0)
        self._save(state="running", tuning=tuning, attempts=(*self.record.attempts, attempt))

    def reached(self, step: int) -> None:
        """So many steps are done. Takes microseconds; outlives the process, not a power cut."""
        os.pwrite(self._reached, b"%-*d" % (_REACHED_BYTES, step), 0)

    def end(self, ended: Ending, state: State, detail: str = "") -> None:
        """How the attempt in progress ended; once that is told, nothing changes."""
        if not self.record.attempts or self.record.attempts[-1].ended is not None:
            return
        *before, last = self.record.attempts
        told = {"step": self.step, "ended": ended, "detail": detail[:_DETAIL_CHARACTERS]}
        self._save(state=state, attempts=(*before, last.model_copy(update=told)))

    def published(self) -> None:
        """The adapter is in its place; also where an attempt died before it could say so."""
        self.end("published", "published")
        self._save(state="published")

    def set_state(self, state: State) -> None:
        self._save(state=state)

    def plan_afresh(self) -> None:
        """Forget how the last attempt computed its steps."""
        self._save(tuning=None)

    def tuned(self, plan: Plan) -> Plan:
        """`plan`, computing as the newest attempt did, where there are as many processes."""
        tuning = self.record.tuning
        if tuning is None or tuning.processes != processes.count():
            return plan
        return tuning.applied(plan)

    @property
    def step(self) -> int | None:
        """What the attempt in progress, or the last one, reached; None before training."""
        text = os.pread(self._reached, _REACHED_BYTES, 0).strip()
        return int(text) if text.isdigit() else None

    @property
    def position(self) -> int:
        """The step that it is at, also while nothing has been trained in this attempt."""
        first = self.record.attempts[-1].first_step if self.record.attempts else 0
        return first if self.step is None else self.step

    def _save(self, **changes: object) -> None:
        record = self.record.model_copy(update=changes)
        _write(self.directory / RECORD_FILE, record.model_dump_json(indent=2) + "\n")
        self.record = record


class Followed(Run):
    """A run in the other processes of its training: they read it, the main one owns it."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, read_record(directory), os.open(os.devnull, os.O_RDONLY))

    def begin(self, recipe: Recipe, tuning: Tuning, first_step: int) -> None:
        """The main process writes it down."""

    def reached(self, step: int) -> None:
        """The main process writes it down."""

    def _save(self, **changes: object) -> None:
        """The main process writes it down."""


def create_run(recipe: Recipe, job: JobKey, adapter_id: ids.AdapterId) -> Run:
    """A new run, owned by this process or by the main one of its training.

    Args:
        adapter_id: of the main process; what is trained will be published under it.

    Raises:
        MachineError: another process trains it.
        InputError: there is a run for this id already, to go on with.
    """
    if not processes.is_main():
        return follow_run()
    run = _create(recipe, job, adapter_id)
    tell_followers(run)
    return run


def tell_followers(run: Run) -> None:
    """Let `follow_run` return in the other processes, if there are any."""
    processes.from_main(lambda: run.id)


def follow_run() -> Run:
    """The run that the main process of this training has just created or opened."""
    return Followed(paths.runs_dir() / processes.from_main(str))


def _create(recipe: Recipe, job: JobKey, adapter_id: ids.AdapterId) -> Run:
    record = Record(
        recipe=recipe.name,
        created_at=datetime.now(UTC),
        job=job,
        adapter=str(adapter_id),
        state="running",
    )
    directory = paths.runs_dir() / adapter_id.directory
    with paths.disk_errors(directory):
        # It may be there, without a record: of one who died before there was anything to keep.
        paths.make_dir(directory)
    lock = take_lock(directory)
    if (directory / RECORD_FILE).exists():
        os.close(lock)
        raise InputError(
            f"Run {directory.name} is there already.",
            f"Go on with it: lmft train --resume {directory.name}",
        )
    run = Run(directory, record, lock)
    _write(run.recipe_file, dump_recipe(recipe))
    run.set_state("running")
    return run


def take_lock(directory: Path) -> int:
    """Own the run until the process dies; raises MachineError while another one does."""
    lock = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise MachineError(
            f"Run {directory.name} is being trained by another process.",
            "Wait for it, or stop that one first (Ctrl-C there).",
        ) from None
    return lock


def read_record(directory: Path) -> Record:
    """Raise MachineError where there is none that can be understood."""
    try:
        return Record.model_validate_json((directory / RECORD_FILE).read_bytes())
    except (OSError, ValidationError) as error:
        raise MachineError(
            f"{directory / RECORD_FILE} cannot be read.", "Train it again."
        ) from error


def _write(file: Path, text: str) -> None:
    """Replace `file` by one rename: a reader, or a power cut, finds the old or the new."""
    with paths.disk_errors(file.parent):
        made = file.with_name(f".{file.name}")
        made.write_text(text, encoding="utf-8")
        paths.fsync(made)
        made.replace(file)
        paths.fsync(file.parent)
