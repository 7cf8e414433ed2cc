"""A data directory with real jobs in it: a tiny base, small files, the real worker."""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lmft import paths
from lmft.files.file import NewFile
from lmft.files.files import Files
from lmft.ids import mint_adapter_id
from lmft.jobs.events import events_since
from lmft.jobs.job import Event, Job, NewJob
from lmft.jobs.queue import JobQueue, create
from lmft.store.database import Store, open_store
from tests.conftest import ROOT, START_SECONDS

STORIES = sorted((paths.recipes_dir() / "data" / "adventures").glob("*.txt"))[:3]
RECIPE: dict[str, Any] = {
    "quantization": "none",
    "format": {"kind": "adventure", "sampler": {"max_tokens": 8}},
    "lora": {"rank": 4},
    "training": {
        "epochs": 2,
        "block_tokens": 64,
        "batch_blocks": 16,
        "micro_blocks": 16,
        "evaluations": 2,
        "checkpoint_minutes": 0,
        "compile": False,
        "activation_checkpointing": False,
    },
}


class Home:
    """Args:
    path: becomes LMFT_HOME, for this process too. base: a base's directory.
    """

    def __init__(self, path: Path, base: Path) -> None:
        self.path, self.base = path, base
        self.store: Store = open_store(path / "lmft.db")
        self.queue = JobQueue(self.store)

    def file(self, name: str, content: bytes) -> str:
        new = NewFile(1, "fine-tune", name)
        return Files(self.store).create(io.BytesIO(content), new).id

    def stories(self) -> tuple[str, ...]:
        return tuple(self.file(story.name, story.read_bytes()) for story in STORIES)

    def create(self, files: tuple[str, ...], **changes: Any) -> Job:
        recipe = changes.pop("recipe", RECIPE)
        suffix = changes.pop("suffix", "tiny")
        adapter = str(mint_adapter_id("tiny", suffix, changes.pop("project", "me")))
        given: dict[str, Any] = {
            "project_id": 1,
            "key": None,
            "method": "sft",
            "model": "tiny",
            "seed": 1,
            "adapter": adapter,
            "files": files,
            "request": {"lmft": {"preset": "adventure"}},
            "recipe": {"name": suffix, "base": str(self.base), **recipe},
        }
        with self.store.writing() as connection:
            return create(connection, NewJob(**given | changes))

    def get(self, job: Job) -> Job:
        return self.queue.get(job.id)

    def events(self, job: Job) -> list[Event]:
        found: list[Event] = []
        with self.store.reading() as connection:
            while page := events_since(connection, job.number, found[-1].number if found else 0):
                found += page
        return found

    def messages(self, job: Job) -> list[str]:
        return [event.message for event in self.events(job)]

    def wait(self, job: Job, *statuses: str, seconds: float = START_SECONDS) -> Job:
        self.until(lambda: self.get(job).status in statuses, seconds, lambda: self.said(job))
        return self.get(job)

    def until(
        self,
        happens: Callable[[], bool],
        seconds: float = START_SECONDS,
        said: Callable[[], str] = lambda: "",
    ) -> None:
        deadline = time.monotonic() + seconds
        while not happens():
            assert time.monotonic() < deadline, f"did not happen in {seconds:.0f} s\n{said()}"
            time.sleep(0.05)

    def said(self, job: Job) -> str:
        log = self.folder(job) / "log.txt"
        text = log.read_text() if log.exists() else ""
        return "\n".join([str(self.get(job)), *self.messages(job)[-20:], text[-4000:]])

    def folder(self, job: Job) -> Path:
        return self.path / "jobs" / job.id

    def run(self, job: Job) -> Path:
        return self.path / "runs" / self.directory(job)

    def adapter(self, job: Job) -> Path:
        return self.path / "adapters" / self.directory(job)

    @staticmethod
    def directory(job: Job) -> str:
        *_, suffix, key = job.adapter.split(":")
        return f"{suffix}-{key}"

    def trainer(self, job: Job) -> int | None:
        """Its process id, once it has the lock and while it has."""
        try:
            with (self.folder(job) / "lock").open() as lock:
                text = lock.read()
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return None
        except BlockingIOError:
            return int(text) if text.isdigit() else None
        return None

    def start_worker(self, **environment: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-W", "ignore", "-P", "-m", "lmft.jobs.worker"],
            env=self.environment(**environment),
            cwd=ROOT,
            start_new_session=True,
        )

    def environment(self, **changes: str) -> dict[str, str]:
        """One thread: the models are too small for more, and then they are the same bit by bit."""
        own = {"LMFT_HOME": str(self.path), "OMP_NUM_THREADS": "1"}
        return {**os.environ, **own, **changes}

    @contextlib.contextmanager
    def worker(self, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
        process = self.start_worker(**environment)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(START_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise

    def metrics(self, job: Job) -> list[tuple[str, int]]:
        """What was said of which step."""
        rows = [event.data for event in self.events(job) if event.type == "metrics"]
        return [
            ("heldout" if "heldout_loss" in row else "loss", row["step"]) for row in rows if row
        ]

    def result(self, job: Job) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder(job) / "result.json").read_text())
        return found


def stop(pid: int) -> None:
    """Have it stand still. What is sent to it after this waits: before all of its threads do, a
    SIGTERM that it has no handler for yet would still end it."""
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + START_SECONDS
    while not all(_stands(thread) for thread in Path(f"/proc/{pid}/task").iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.001)


def _stands(thread: Path) -> bool:
    try:
        return (thread / "stat").read_text().rpartition(")")[2].split()[0] == "T"
    except OSError:
        # It ended meanwhile.
        return True


def alive(pid: int) -> bool:
    """Also of a zombie this is False."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")


@contextlib.contextmanager
def home_at(path: Path, base: Path) -> Iterator[Home]:
    """A fresh one, that this process works on too until the end."""
    before = os.environ["LMFT_HOME"]
    os.environ["LMFT_HOME"] = str(path)
    path.mkdir(parents=True, exist_ok=True)
    home = Home(path, base)
    try:
        yield home
    finally:
        home.store.close()
        os.environ["LMFT_HOME"] = before
        if not path.is_mount():
            shutil.rmtree(path, ignore_errors=True)
