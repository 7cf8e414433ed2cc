"""A second signal ends the real server at once, whatever it waits for, with all it has started; the
job that it trained goes on with the next worker. In vLLM's place stands what hears nothing."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from lmft.jobs.job import Job
from tests.conftest import ROOT, free_port
from tests.engineless import wait_alive
from tests.fault.test_jobs_serving import child_of
from tests.integration.test_engine_life import family
from tests.jobs import Home, alive, home_at, stop
from tests.tiny import make_base

# Nobody who waits for a trainer or a request in order is done in this test.
FOR_EVER = "100000"
ENGINE = """
import signal, time
signal.signal(signal.SIGTERM, signal.{disposition})
print("stands in for vLLM", flush=True)
time.sleep(3600)
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made: Path = tmp_path_factory.mktemp("bases") / "tiny"
    make_base(made, "gpt2")
    return made


@pytest.fixture
def home(tmp_path: Path, base: Path) -> Iterator[Home]:
    with home_at(tmp_path / "home", base) as made:
        yield made


class Served:
    """The real server; its engine never comes up, and hears SIGTERM only if it may."""

    def __init__(self, home: Home, folder: Path, *, deaf: bool) -> None:
        self.home = home
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        module = folder / "vllm" / "entrypoints" / "openai" / "api_server.py"
        module.parent.mkdir(parents=True)
        # Without it Python would go on to the real vLLM.
        (folder / "vllm" / "__init__.py").touch()
        module.write_text(ENGINE.format(disposition="SIG_IGN" if deaf else "SIG_DFL"))
        command = [sys.executable, "-m", "serving", "--no-ui", "--port", str(port)]
        self.process = subprocess.Popen(
            [*command, "--drain-seconds", FOR_EVER],
            cwd=ROOT,
            env=home.environment(PYTHONPATH=str(folder), LMFT_STOP_SECONDS=FOR_EVER),
            start_new_session=True,
        )

    @property
    def engine(self) -> int | None:
        return child_of(self.process.pid, b"serving.engine.child")

    @property
    def worker(self) -> int | None:
        return child_of(self.process.pid, b"lmft.jobs.worker")

    def training(self, step: int) -> tuple[Job, int]:
        """A job that has come so far, and its trainer, which hears no wish any more."""
        home, job = self.home, self.home.create(self.home.stories())
        home.until(
            lambda: home.trainer(job) is not None and home.get(job).step >= step,
            said=lambda: home.said(job),
        )
        trainer = home.trainer(job)
        assert trainer is not None
        stop(trainer)
        return job, trainer

    def kill(self) -> None:
        """With all that it has started."""
        for pid in family(self.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def leaving(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5).json()["status"] == "stopping"
        except httpx.TransportError:
            return True


def forced_to_end(home: Home, folder: Path, waits_for: str, step: int = 0) -> Job:
    """A job whose server was told to end, and again while it waited."""
    server = Served(home, folder, deaf=waits_for == "an engine")
    try:
        wait_alive(server.url, server.process)
        # By then it is deaf, if it is to be.
        home.until(lambda: "stands in" in logs(home), said=lambda: logs(home))
        job, trainer = server.training(step)
        engine, worker = server.engine, server.worker
        assert engine is not None
        assert worker is not None
        if waits_for == "a request":
            threading.Thread(target=ask, args=[server.url], daemon=True).start()
            home.until(lambda: waiting(server.url) == 1)
        server.process.terminate()
        home.until(server.leaving)
        if waits_for == "the training":
            home.until(lambda: not alive(engine))
        assert server.process.poll() is None
        server.process.terminate()
        assert server.process.wait(60) == 0
        home.until(lambda: not any(map(alive, (engine, worker, trainer))), seconds=60)
    finally:
        server.kill()
    return job


@pytest.mark.parametrize("waits_for", ["a request", "an engine"])
def test_a_second_signal_ends_server_engine_worker_and_trainer(
    home: Home, tmp_path: Path, waits_for: str
) -> None:
    job = forced_to_end(home, tmp_path / "path", waits_for)
    # Until the next worker finds what is left of it.
    assert home.get(job).status == "running"


def test_a_job_goes_on_from_its_checkpoint_after_a_second_signal(
    home: Home, tmp_path: Path
) -> None:
    job = forced_to_end(home, tmp_path / "path", "the training", step=2)
    with home.worker():
        job = home.wait(job, "succeeded", "failed")
    assert job.status == "succeeded", home.said(job)
    assert any("goes on from step" in message for message in home.messages(job))


def logs(home: Home) -> str:
    return "\n".join(log.read_text() for log in home.path.glob("logs/engine-*.log"))


def ask(url: str) -> None:
    """It waits for the engine."""
    body = {"model": "embedded", "prompt": "You", "max_tokens": 1}
    with pytest.raises(httpx.TransportError):
        httpx.post(f"{url}/v1/completions", json=body, headers={"prefer": "wait=600"}, timeout=600)


def waiting(url: str) -> int:
    said = httpx.get(f"{url}/metrics", timeout=60).text
    (figure,) = (line for line in said.splitlines() if line.startswith("lmft_requests_waiting "))
    return int(float(figure.split()[1]))
