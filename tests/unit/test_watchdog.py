"""Which silent engine is replaced, and which one is only busy: over a real process that is neither.

What vLLM itself does when it hangs is tried by tests/fault.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lmft.errors import EngineError
from serving.engine.process import EngineProcess
from serving.engine.settings import EngineSettings
from serving.engine.work import counted, processor_seconds
from serving.pool import watchdog
from tests.conftest import ROOT

LONG = 15.0
HANG_SECONDS = 1.0


class FakeSettings(EngineSettings):
    def command(self, parent_pid: int, socket: Path) -> list[str]:
        return ["tests.unit.fake_engine", str(socket)]


class Engine:
    """A fake engine and what is known of it."""

    def __init__(self, control: Path) -> None:
        self.control = control
        settings = FakeSettings("fake", "local", control, "fake", 64, None, 0, 0.0)
        self.process = EngineProcess(settings)
        self.client = self.process.client
        model = SimpleNamespace(engine_name="fake")
        self.running: Any = SimpleNamespace(process=self.process, plan=SimpleNamespace(model=model))

    def now(self, mode: str) -> None:
        (self.control / "mode").write_text(mode)

    @property
    def n_asked(self) -> int:
        return len((self.control / "asked").read_text().splitlines())

    @contextlib.asynccontextmanager
    async def watched(self, hang_seconds: float = HANG_SECONDS) -> AsyncIterator[asyncio.Task[str]]:
        """By the watchdog, whose word is the task's result."""
        watching = asyncio.create_task(watchdog.until_ended(lambda: self.running, hang_seconds))
        try:
            yield watching
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)


@contextlib.asynccontextmanager
async def engine_in(control: Path) -> AsyncIterator[Engine]:
    """One that has answered."""
    engine = Engine(control)
    engine.now("answers")
    try:
        await engine.process.start(lambda _: None)
        yield engine
    finally:
        await engine.process.stop(kill=True)


def why_it_does_not_start(control: Path, mode: str) -> str:
    async def scenario() -> str:
        engine = Engine(control)
        engine.now(mode)
        try:
            with pytest.raises(EngineError) as caught:
                await engine.process.start(lambda _: None)
        finally:
            await engine.process.stop(kill=True)
        return caught.value.message

    return asyncio.run(scenario())


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(LONG):
        while not condition():
            await asyncio.sleep(0.02)


async def said(watching: asyncio.Task[str]) -> str:
    async with asyncio.timeout(LONG):
        return await watching


@pytest.fixture(autouse=True)
def control(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LMFT_HOME", str(tmp_path))
    monkeypatch.setenv("FAKE_ENGINE", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return tmp_path


def test_an_engine_that_crashes_over_its_first_token_says_how_it_ended(control: Path) -> None:
    message = why_it_does_not_start(control, "crashes")
    assert message == "The engine stopped while starting (exit code 7): SomeError: of its own"


def test_an_engine_that_refuses_its_first_token_says_why(
    control: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.engine.process.CRASH_SECONDS", 0.5)
    message = why_it_does_not_start(control, "refuses")
    assert message == "The engine gave no token: SomeError: no room"


def test_an_engine_that_answers_stays(control: Path) -> None:
    async def scenario() -> None:
        async with engine_in(control) as engine, engine.watched() as watching:
            await until(lambda: engine.n_asked > 4)
            assert not watching.done()

    asyncio.run(scenario())


def test_an_engine_that_goes_on_with_others_work_stays(control: Path) -> None:
    """The token that it is asked for stands behind that."""

    async def scenario() -> None:
        async with engine_in(control) as engine, engine.watched() as watching:
            engine.now("counts")
            before = engine.n_asked
            # Each of them is asked only once it has been quiet for half of the time again.
            await until(lambda: watching.done() or engine.n_asked > before + 4)
            assert not watching.done(), watching.result()
            engine.now("silent")
            assert "gave no token" in await said(watching)

    asyncio.run(scenario())


def test_a_failed_answer_of_one_that_goes_on_is_forgotten(control: Path) -> None:
    async def scenario() -> None:
        async with engine_in(control) as engine, engine.watched() as watching:
            engine.now("counts")
            engine.client.failed_at = time.monotonic()
            assert engine.client.doubtful
            await until(lambda: watching.done() or not engine.client.doubtful)
            assert not watching.done()

    asyncio.run(scenario())


def test_an_engine_that_goes_on_with_nothing_is_replaced(control: Path) -> None:
    async def scenario() -> None:
        async with engine_in(control) as engine, engine.watched() as watching:
            engine.now("silent")
            assert "gave no token" in await said(watching)
            assert await engine.client.healthy()

    asyncio.run(scenario())


def test_an_engine_that_is_stopped_altogether_is_replaced(control: Path) -> None:
    async def scenario() -> None:
        async with engine_in(control) as engine, engine.watched() as watching:
            assert engine.process.pid is not None
            os.kill(engine.process.pid, signal.SIGSTOP)
            assert "gave no token" in await said(watching)

    asyncio.run(scenario())


def test_an_engine_that_ends_while_it_is_asked_is_replaced(control: Path) -> None:
    async def scenario() -> None:
        async with engine_in(control) as engine, engine.watched(LONG) as watching:
            engine.now("silent")
            engine.client.failed_at = time.monotonic()
            before = engine.n_asked
            await until(lambda: engine.n_asked > before)
            assert engine.process.pid is not None
            os.kill(engine.process.pid, signal.SIGKILL)
            assert await said(watching)

    asyncio.run(scenario())


def test_what_is_answered_without_generating_hides_no_hang(control: Path) -> None:
    """vLLM's API server tokenises without the process that computes."""

    async def scenario() -> None:
        async with engine_in(control) as engine, engine.watched() as watching:
            engine.now("silent")
            async with asyncio.timeout(LONG):
                while not watching.done():
                    await engine.client.json("/tokenize", {"prompt": "You"})
                    await asyncio.sleep(0.02)
            assert "gave no token" in watching.result()

    asyncio.run(scenario())


def test_only_what_generates_is_heard(control: Path) -> None:
    async def scenario() -> None:
        async with engine_in(control) as engine:
            engine.client.failed_at = time.monotonic()
            await engine.client.json("/tokenize", {"prompt": "You"})
            assert engine.client.doubtful
            await engine.client.json("/v1/completions", {})
            assert not engine.client.doubtful

    asyncio.run(scenario())


@pytest.mark.parametrize(("cores", "patient"), [(1.0, True), (0.1, False)])
def test_an_engine_that_computes_without_a_token_has_more_time_but_not_for_ever(
    control: Path, monkeypatch: pytest.MonkeyPatch, cores: float, patient: bool
) -> None:
    """A long prompt on a CPU; the time that it computes is told, since no test can be sure of its
    share of a machine."""
    read: list[int] = []

    def told(session: int) -> float:
        read.append(session)
        return time.monotonic() * cores

    monkeypatch.setattr(watchdog, "processor_seconds", told)

    async def scenario() -> None:
        async with engine_in(control) as engine, engine.watched(0.5) as watching:
            engine.now("silent")
            assert "gave no token" in await said(watching)
            assert set(read) == {engine.process.pid}
            # At the beginning of what is looked at, and at the end of each quarter of a second.
            assert (len(read) > 10) if patient else (len(read) == 2)

    asyncio.run(scenario())


def test_the_processors_time_is_that_of_all_processes_of_a_session() -> None:
    """Of those that have ended, too."""
    burn = "import time\nwhile time.process_time() < 0.3: pass\n"
    parent = f"import subprocess, sys, time\nsubprocess.run([sys.executable, '-c', {burn!r}])\n"
    program = f"{parent}{burn}print('done', flush=True)\ntime.sleep(600)\n"
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"done\n"
        assert processor_seconds(process.pid) >= 0.55
    finally:
        process.kill()
        process.communicate()
    assert processor_seconds(process.pid) == 0


def test_what_is_counted_is_what_only_computing_changes() -> None:
    def figures(**values: float) -> str:
        return "".join(f'vllm:{name}{{engine="0"}} {value}\n' for name, value in values.items())

    before = figures(prompt_tokens_total=1, generation_tokens_total=2, kv_cache_usage_perc=0.5)
    assert len(counted(before)) == 3
    assert counted(before + "http_requests_total 7\n") == counted(before)
    assert counted(before.replace("0.5", "0.6")) != counted(before)
    assert counted("") == ()


def test_an_engine_that_does_not_end_by_itself_is_killed_sooner_once_there_is_a_hurry(
    control: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EngineProcess, "stop_seconds", 10**6)
    (control / "deaf").touch()

    async def scenario() -> None:
        async with engine_in(control) as engine:
            pid = engine.process.pid
            assert pid is not None
            ending = asyncio.create_task(engine.process.stop())
            await asyncio.sleep(0.3)
            assert not ending.done()
            EngineProcess.hurry()
            async with asyncio.timeout(LONG):
                await ending
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)
            with pytest.raises(EngineError):
                await engine.client.json("/tokenize", {})

    asyncio.run(scenario())
