"""Jobs under the real server with the real vLLM: a job succeeds once its model is proven, also
when server, engine, worker and trainer are killed (-9) meanwhile."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from lmft.jobs.job import Job
from lmft.registry.adapters import open_adapter, verify
from lmft.store.deployments import Deployments
from tests.conftest import ROOT, START_SECONDS, free_port, wait_ready
from tests.jobs import Home, home_at
from tests.tiny import make_base

pytestmark = pytest.mark.engine

ROUNDS = 5


class Served:
    """The real server over a data directory, with the worker that it starts."""

    def __init__(self, home: Home) -> None:
        self.home, self.port = home, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "serving", "--port", str(self.port), "--no-ui"],
            cwd=ROOT,
            env=self.home.environment(),
            start_new_session=True,
        )

    def pids(self, job: Job) -> dict[str, int | None]:
        ours = {"worker": b"lmft.jobs.worker", "engine": b"serving.engine.child"}
        found = {what: child_of(self.process.pid, module) for what, module in ours.items()}
        return {**found, "server": self.process.pid, "trainer": self.home.trainer(job)}

    def kill(self, what: str, job: Job) -> None:
        pid = self.pids(job)[what]
        print(f"{what} {pid}: {self.home.get(job).status} at step {self.home.get(job).step}")
        if pid is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        if what == "server":
            self.process.wait()
            self.start()

    def wait(self, job: Job, seconds: float) -> None:
        until = time.monotonic() + seconds
        self.home.until(lambda: time.monotonic() > until or self.home.get(job).ended)

    def answers(self, model: str) -> bool:
        body = {"model": model, "prompt": "You open", "max_tokens": 4}
        headers = {"prefer": "wait=300"}
        url = f"{self.url}/v1/completions"
        answer = httpx.post(url, json=body, headers=headers, timeout=START_SECONDS)
        return answer.status_code == 200 and answer.json()["model"] == model


def child_of(parent: int, module: bytes) -> int | None:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text(errors="replace").rpartition(")")[2].split()
            if int(fields[1]) == parent and module in (stat.parent / "cmdline").read_bytes():
                return int(stat.parent.name)
    return None


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[Served]:
    folder: Path = tmp_path_factory.mktemp("served")
    make_base(folder / "base", "gpt2")
    with home_at(folder / "home", folder / "base") as home:
        server = Served(home)
        try:
            wait_ready(server.url, server.process)
            yield server
        finally:
            server.process.terminate()
            server.process.wait(START_SECONDS)


def test_a_job_succeeds_once_its_model_is_proven(served):
    home = served.home
    job = home.wait(home.create(home.stories()), "succeeded", "failed")
    assert job.status == "succeeded", home.said(job)
    alias = job.adapter.rpartition(":")[0]
    assert Deployments(home.store).live()[alias] == job.adapter
    assert f"{alias} now means {job.adapter}" in home.messages(job)
    assert served.answers(job.adapter)


def test_a_model_that_is_not_what_was_trained_fails_its_job(served):
    """Spoilt between publishing and the proof, for which the server is stopped meanwhile."""
    home = served.home
    job = home.create(home.stories(), suffix="spoilt")
    home.until(lambda: home.get(job).step >= 1, said=lambda: home.said(job))
    os.kill(served.process.pid, signal.SIGSTOP)
    try:
        home.until(home.adapter(job).exists, said=lambda: home.said(job))
        # Which looks at its work itself.
        home.until(lambda: home.trainer(job) is None)
        with (home.adapter(job) / "probe.json").open("a") as probe:
            probe.write(" ")
    finally:
        os.kill(served.process.pid, signal.SIGCONT)
    job = home.wait(job, "succeeded", "failed")
    assert job.error is not None
    assert job.error.code == "probe_failed"
    assert job.adapter not in Deployments(home.store).live().values()


@pytest.mark.long
def test_five_rounds_of_kills(served):
    home, seed = served.home, time.time_ns()
    chance = random.Random(seed)
    for number in range(ROUNDS):
        job = home.create(home.stories(), suffix=f"round-{number}")
        for _ in range(2):
            served.wait(job, chance.uniform(0, 60))
            served.kill(chance.choice(("trainer", "worker", "engine", "server")), job)
        job = home.wait(job, "succeeded", "failed")
        assert job.status == "succeeded", f"seed {seed}\n{home.said(job)}"
        verify(open_adapter(home.adapter(job)))
        assert len(home.metrics(job)) == len(set(home.metrics(job)))
        wait_ready(served.url, served.process)
        assert served.answers(job.adapter)
