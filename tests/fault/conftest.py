"""A real server to be maltreated: over a data directory of its own, shared by the fault tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from lmft import paths
from lmft.registry.adapters import Adapter, get_adapter
from tests.conftest import ROOT, START_SECONDS, Adapters, free_port, run_lmft, wait_ready

HANG_SECONDS = 8


@dataclass(frozen=True)
class Stage:
    """Attributes:
    source: a good adapter, to be copied. good: the id of another one, that is always served.
    """

    home: Path
    url: str
    process: subprocess.Popen[bytes]
    source: Adapter
    good: str

    def ask(self, model: str, **fields: Any) -> httpx.Response:
        headers = {"prefer": fields.pop("prefer", "")}
        body = {"model": model, "prompt": "You open", "max_tokens": 4, "temperature": 0} | fields
        url = f"{self.url}/v1/completions"
        return httpx.post(url, json=body, headers=headers, timeout=START_SECONDS)

    def listed(self) -> dict[str, dict[str, Any]]:
        data = httpx.get(f"{self.url}/v1/models", timeout=START_SECONDS).json()["data"]
        return {entry["id"]: entry["lmft"] for entry in data}

    def lmft(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run_lmft(*arguments, LMFT_HOME=str(self.home))


@dataclass
class Traffic:
    """Good requests, one after the other, from here until the block ends.

    Attributes:
        answers: each one's model and text; failures: what was no 200.
    """

    stage: Stage
    models: tuple[str, ...]
    answers: list[tuple[str, str]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def __enter__(self) -> Traffic:
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join(START_SECONDS)

    def _run(self) -> None:
        while not self._end.is_set():
            for model in self.models:
                answer = self.stage.ask(model)
                if answer.status_code == 200:
                    body = answer.json()
                    self.answers.append((body["model"], body["choices"][0]["text"]))
                else:
                    self.failures.append(answer.text)


@pytest.fixture(scope="session")
def stage(adapters: Adapters, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    home = tmp_path_factory.mktemp("stage")
    for folder in ("adapters", "bases"):
        shutil.copytree(paths.home() / folder, home / folder)
    source, good = get_adapter(adapters.adventure), get_adapter(adapters.character)
    port = free_port()
    options = ("--no-ui", "--slots", "2", "--resident", "3", "--hang-seconds", str(HANG_SECONDS))
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "serving", "--port", str(port), "--model", str(good.id)),
            *options,
        ],
        cwd=ROOT,
        env={**os.environ, "LMFT_HOME": str(home)},
    )
    running = Stage(home, f"http://127.0.0.1:{port}", process, source, str(good.id))
    try:
        wait_ready(running.url, process)
        yield running
    finally:
        process.terminate()
        process.wait(timeout=START_SECONDS)
