"""Checkpoints on disk: whole or not there, proven by hash before use, the two newest kept.

A checkpoint is a directory `step-NNNNNNNN` of safetensors and JSON files. `MANIFEST.json` is
written last and names size and sha256 of every other file, the step, and the job that it
belongs to. The directory appears by one rename, after everything in it is fsynced.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from lmft import paths
from lmft.errors import InputError, MachineError
from lmft.train.durable.jobkey import JobKey

MANIFEST = "MANIFEST.json"
KEPT = 2
_PREFIX = "step-"


class CheckpointCorruptError(MachineError):
    code = "checkpoint_corrupt"


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    bytes: int
    sha256: str


class Manifest(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    step: int
    job: JobKey
    files: dict[str, _File]


class Checkpoints:
    """The checkpoints of one run; only the process that holds the run's lock may make one.

    Args:
        quarantine: where those go that do not verify; nobody deletes evidence.
        job: what a checkpoint must belong to.
    """

    def __init__(self, directory: Path, quarantine: Path, job: JobKey) -> None:
        self.directory = directory
        self._quarantine = quarantine
        self._job = job
        with paths.disk_errors(directory):
            paths.make_dir(directory)
        # The lock is ours, so whoever wrote or removed these is dead.
        for left in directory.glob(".*"):
            shutil.rmtree(left, ignore_errors=True)

    def write(self, step: int, fill: Callable[[Path], None]) -> Path:
        """Let `fill` write the files of a checkpoint; make it appear; drop what is too old.

        Raises:
            DiskFullError: no space; what was there before is there still, nothing half-written.
        """
        target = self.directory / f"{_PREFIX}{step:08d}"
        with paths.publishing(target) as staging:
            fill(staging)
            files = {
                file.name: _File(bytes=file.stat().st_size, sha256=paths.sha256_file(file))
                for file in sorted(staging.iterdir())
            }
            manifest = Manifest(step=step, job=self._job, files=files)
            (staging / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n")
        self._keep(KEPT)
        return target

    def newest(self, say: Callable[[str], None]) -> Path | None:
        """The newest that verifies; None when the run has not written one yet.

        Those that do not are moved to quarantine, and `say` is told.

        Raises:
            CheckpointCorruptError: there were some, but none can be read; InputError: it belongs to
                another job.
        """
        for found in reversed(self._all()):
            fault = _fault(found)
            if fault is None:
                self._require_own(found)
                return found
            say(f"checkpoint {found.name} is damaged ({fault}); it goes to quarantine")
            self._set_aside(found)
        if self._quarantine.is_dir() and any(self._quarantine.iterdir()):
            raise CheckpointCorruptError(
                f"No checkpoint of this run can be read; they are in {self._quarantine}.",
                "Check the disk, and start again with lmft train RECIPE.",
            )
        return None

    def remove(self) -> None:
        """Once the adapter is published, nothing here is wanted any more."""
        self._keep(0)

    def _all(self) -> Sequence[Path]:
        """Oldest first: the names have leading zeros."""
        return sorted(self.directory.glob(f"{_PREFIX}*"))

    def _keep(self, count: int) -> None:
        found = self._all()
        for old in found[: max(0, len(found) - count)]:
            # Renamed first: half of a checkpoint under its own name would look damaged.
            doomed = self.directory / f".removed-{old.name}"
            old.rename(doomed)
            shutil.rmtree(doomed, ignore_errors=True)

    def _set_aside(self, found: Path) -> None:
        with paths.disk_errors(self._quarantine):
            self._quarantine.mkdir(exist_ok=True)
            names = (f"{found.name}-{number}" for number in itertools.count(1))
            found.rename(next(p for p in map(self._quarantine.joinpath, names) if not p.exists()))

    def _require_own(self, found: Path) -> None:
        if odd := _read_manifest(found).job.differences(self._job):
            raise InputError(
                f"Checkpoint {found} is of another job: not the same are {' and '.join(odd)}.",
                "Remove it, or start again with lmft train RECIPE.",
            )


def step_of(checkpoint: Path) -> int:
    """Steps that were done when it was written."""
    return int(checkpoint.name.removeprefix(_PREFIX))


def _read_manifest(checkpoint: Path) -> Manifest:
    return Manifest.model_validate_json((checkpoint / MANIFEST).read_bytes())


def _fault(checkpoint: Path) -> str | None:
    """What is wrong with it; None when every byte is the one that was written."""
    try:
        manifest = _read_manifest(checkpoint)
        present = {file.name for file in checkpoint.iterdir()}
        if odd := sorted(present ^ {*manifest.files, MANIFEST}):
            return f"missing or unexpected: {', '.join(odd[:3])}"
        if checkpoint.name != f"{_PREFIX}{manifest.step:08d}":
            return "not under its own name"
        for name, file in manifest.files.items():
            path = checkpoint / name
            if path.stat().st_size != file.bytes or paths.sha256_file(path) != file.sha256:
                return f"{name} is not what was written"
    except (OSError, ValidationError) as error:
        return f"{MANIFEST} cannot be used: {type(error).__name__}"
    return None
