"""Trainer, worker and server killed (-9) at random moments of real jobs: each job ends once, well,
with the adapter that it would have had without any of that, bit by bit."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lmft.jobs.attempts import Attempts
from lmft.jobs.job import Job
from lmft.registry.adapters import open_adapter, verify
from tests.conftest import ROOT, START_SECONDS
from tests.jobs import RECIPE, Home, alive, home_at
from tests.tiny import make_base

# Two at a time: each trains with one thread, and this machine has two cores at least.
LANES = 2
# Set it to what a failure says, to have the same kills drawn again; when they fall, the machine
# decides too.
SEED_VARIABLE = "LMFT_TEST_SEED"
# Rounds beyond those that were asked for, where every kill came after its job's end.
SPARE_ROUNDS = 4
LONGER = {**RECIPE, "training": {**RECIPE["training"], "epochs": 4}}


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    made: Path = tmp_path_factory.mktemp("bases") / "tiny"
    make_base(made, "gpt2")
    return made


class Lane:
    """A data directory with a supervised worker, jobs in a row, and a killer.

    Attributes:
        said: each kill, in order.
    """

    def __init__(self, home: Home, seed: int, number: int) -> None:
        self.home, self.seed, self.random = home, seed, random.Random(seed + number)
        self.files = home.stories()
        self.said: list[str] = []
        self._server: subprocess.Popen[bytes] | None = None

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        self.start()
        try:
            yield
        finally:
            self.server.terminate()
            self.server.wait(START_SECONDS)

    @contextlib.contextmanager
    def told(self) -> Iterator[None]:
        """Whatever fails inside says by which seed, and what was killed until then."""
        try:
            yield
        except BaseException as error:
            error.add_note("\n".join([f"{SEED_VARIABLE}={self.seed}", *self.said]))
            raise

    def start(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.fault.supervisor"],
            env=self.home.environment(),
            cwd=ROOT,
            start_new_session=True,
        )

    @property
    def server(self) -> subprocess.Popen[bytes]:
        assert self._server is not None
        return self._server

    def undisturbed(self) -> tuple[str, float]:
        """What a job comes to, and how long it takes."""
        began = time.monotonic()
        job = self.home.wait(self.create(), "succeeded", "failed")
        return self.digest(job), time.monotonic() - began

    def round(self, wanted: str, seconds: float) -> None:
        """A job, and one to three kills while it is under way: at any time, and as it trains."""
        job = self.create()
        if any_time := self.random.random() < 0.5:
            moment = time.monotonic() + self.random.uniform(0, seconds)
            self.home.until(lambda: time.monotonic() > moment or self.home.get(job).ended)
            self.kill(job)
        for _ in range(self.random.choice((0, 1, 1, 2) if any_time else (1, 1, 2))):
            # Two deaths at one step would be a job that fails, and rightly.
            step = self.home.get(job).step + self.random.randint(3, 6)
            self.home.until(
                lambda at=step: self.home.get(job).step >= at or self.home.get(job).ended
            )
            self.kill(job)
        job = self.home.wait(job, "succeeded", "failed", "cancelled")
        assert job.status == "succeeded", self.home.said(job)
        assert self.digest(job) == wanted, self.home.said(job)
        self.require_told_once(job)

    def create(self) -> Job:
        return self.home.create(self.files, recipe=LONGER)

    def kill(self, job: Job) -> None:
        """Of the job's processes one, as soon as it is there; none once the job has ended."""
        what = self.random.choice(("trainer", "trainer", "worker", "server"))
        find = {
            "trainer": lambda: self.home.trainer(job),
            "worker": lambda: child_of(self.server.pid),
            "server": lambda: self.server.pid,
        }[what]

        def struck() -> bool:
            state = self.home.get(job)
            if state.ended:
                return True
            pid = find()
            if pid is None or not alive(pid):
                return False
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                return False
            self.said.append(f"{job.id[-4:]} {state.status} step {state.step}: {what} {pid}")
            if what == "server":
                self.server.wait()
                self.start()
            return True

        self.home.until(struck, said=lambda: f"no {what} to kill\n{self.home.said(job)}")

    def digest(self, job: Job) -> str:
        assert job.status == "succeeded", self.home.said(job)
        adapter = open_adapter(self.home.adapter(job))
        verify(adapter)
        weights = (adapter.path / "adapter_model.safetensors").read_bytes()
        return hashlib.sha256(weights).hexdigest()

    def require_told_once(self, job: Job) -> None:
        said = self.home.metrics(job)
        assert len(said) == len(set(said)), said
        assert {step for kind, step in said if kind == "loss"} == set(range(1, job.steps + 1))
        assert self.home.messages(job).count("The job has successfully completed") == 1
        attempts = Attempts(self.home.store, "reader").of(job)
        assert [one.attempt for one in attempts] == list(range(1, job.attempt + 1))
        assert [one.outcome for one in attempts].count("done") == 1
        assert attempts[-1].outcome == "done"


def child_of(parent: int) -> int | None:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text(errors="replace").rpartition(")")[2].split()
            if int(fields[1]) == parent and alive(int(stat.parent.name)):
                return int(stat.parent.name)
    return None


def rounds(tmp_path: Path, base: Path, count: int) -> None:
    with contextlib.ExitStack() as stack:
        homes = [stack.enter_context(home_at(tmp_path / str(n), base)) for n in range(LANES)]
        lanes = []
        seed = int(os.environ.get(SEED_VARIABLE) or time.time_ns())
        for number, home in enumerate(homes):
            # Contents of files lie where LMFT_HOME says.
            os.environ["LMFT_HOME"] = str(home.path)
            lanes.append(Lane(home, seed, number))
        for lane in lanes:
            stack.enter_context(lane.serving())
        with ThreadPoolExecutor(LANES) as pool:
            controls = list(pool.map(lambda lane: lane.undisturbed(), lanes))
            assert len({digest for digest, _ in controls}) == 1
            wanted, seconds = controls[0][0], max(one for _, one in controls)

            def work(lane: Lane) -> None:
                with lane.told():
                    for number in range(count // LANES + SPARE_ROUNDS):
                        if number >= count // LANES and lane.said:
                            break
                        lane.round(wanted, seconds)
                    assert lane.said, "nothing was killed"

            list(pool.map(work, lanes))
        print(*(line for lane in lanes for line in lane.said), sep="\n")


def test_ten_rounds(tmp_path, base):
    rounds(tmp_path, base, 10)


@pytest.mark.long
def test_a_hundred_rounds(tmp_path, base):
    rounds(tmp_path, base, 100)
