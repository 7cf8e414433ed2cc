"""One machine for training and serving, with real processes; a memory limit in the GPU's place."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from lmft.device.memory import held_bytes
from lmft.device.records import Claim, Serving
from lmft.device.registered import living
from tests.conftest import ROOT, START_SECONDS, Gateway, free_port
from tests.greedy import LOGPROBS, Greedy, greedy

pytestmark = pytest.mark.engine

GIB = 1 << 30
# Less than any training takes, so that none fits beside the server.
_LEFT_BESIDE = GIB // 2
_SHORT = ("--set", "training.epochs=0.3", "--set", "format.sampler.max_tokens=24")


@dataclass
class Traffic:
    """Attributes:
    refusals: Retry-After and message of each 503. others: whatever else came.
    """

    answers: list[Greedy] = field(default_factory=list)
    refusals: list[tuple[float, str]] = field(default_factory=list)
    others: list[str] = field(default_factory=list)

    def agree(self) -> bool:
        first, *rest = self.answers
        return all(first.agrees_with(answer) for answer in rest)


@contextmanager
def traffic(gateway: Gateway) -> Iterator[Traffic]:
    """The adapter, asked the same question again and again; the answer must stay the same."""
    seen, end = Traffic(), threading.Event()

    def ask_on() -> None:
        with gateway.client() as http:
            while not end.is_set():
                answer = http.post("/v1/completions", json=question(gateway.adapter_id))
                if answer.status_code == 200:
                    seen.answers.append(greedy(answer.json()["choices"][0]))
                elif answer.status_code == 503:
                    message = answer.json()["error"]["message"]
                    seen.refusals.append((float(answer.headers["retry-after"]), message))
                    time.sleep(0.2)
                else:
                    seen.others.append(answer.text)

    threads = [threading.Thread(target=ask_on) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        end.set()
        for thread in threads:
            thread.join()


def question(model: str) -> dict[str, object]:
    prompt = {"prompt": "You open the", "temperature": 0, "max_tokens": 12, "logprobs": LOGPROBS}
    return {"model": model, **prompt}


@contextmanager
def training(name: str, log: Path, limit: int | None, *sets: str) -> Iterator[subprocess.Popen]:
    """`lmft train` in a session of its own, as in another terminal."""
    environment = {} if limit is None else {"LMFT_MEMORY_GIB": f"{limit / GIB:.4f}"}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "lmft.cli", "train", "adventure", *_SHORT),
                *("--set", f"name={name}", *sets),
            ],
            env={**os.environ, **environment},
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def ready(gateway: Gateway) -> bool:
    return httpx.get(f"{gateway.url}/readyz", timeout=30).status_code == 200


def eventually(condition, what: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"still waiting for {what}"
        time.sleep(0.1)


def is_training(log: Path) -> bool:
    return re.search(r"step \d+/", log.read_text()) is not None


def is_registered(pid: int) -> bool:
    return any(one.pid == pid for one in living(Serving))


def children(pid: int) -> str:
    return "".join(task.read_text() for task in Path(f"/proc/{pid}/task").glob("*/children"))


def this_server(gateway: Gateway) -> Serving:
    return next(one for one in living(Serving) if one.pid == gateway.process.pid)


def limit_for_one(gateway: Gateway) -> int:
    """Room for the engine or a training, not for both."""
    eventually(lambda: this_server(gateway).engine_bytes > GIB // 2, "the server to be measured")
    return held_bytes([gateway.process.pid]) + _LEFT_BESIDE


def live_models(gateway: Gateway) -> dict[str, Greedy]:
    """What answers now, with what it answers."""
    with gateway.client() as http:
        models = http.get("/v1/models").json()["data"]
        live = [model["id"] for model in models if model["lmft"]["state"] == "live"]
        answers = [http.post("/v1/completions", json=question(model)) for model in live]
    assert {answer.status_code for answer in answers} == {200}
    said = [greedy(answer.json()["choices"][0]) for answer in answers]
    return dict(zip(live, said, strict=True))


def answer_as_before(before: dict[str, Greedy], after: dict[str, Greedy]) -> bool:
    return all(model in after and said.agrees_with(after[model]) for model, said in before.items())


def test_a_training_that_does_not_fit_beside_the_engine_has_its_place_and_gives_it_back(
    gateway: Gateway, tmp_path: Path
) -> None:
    eventually(lambda: ready(gateway), "the server")
    before, limit = live_models(gateway), limit_for_one(gateway)
    assert gateway.adapter_id in before
    log, held = tmp_path / "train.log", []
    with traffic(gateway) as seen, training("lodger", log, limit) as process:
        while process.poll() is None:
            if this_server(gateway).released and living(Claim):
                held.append(held_bytes([gateway.process.pid, process.pid]))
            time.sleep(0.2)
        told = log.read_text()
        assert process.returncode == 0, told
        assert "waiting for the server to make room" in told
        eventually(lambda: ready(gateway), "the engine to come back")
        n_answers = len(seen.answers)
        eventually(lambda: len(seen.answers) > n_answers + 3, "answers")

    assert max(held) < limit
    assert not seen.others
    assert seen.agree()
    during = [(seconds, text) for seconds, text in seen.refusals if "is being trained" in text]
    assert "lodger" in during[0][1]
    assert all(str(ROOT) not in text and "/" not in text for _, text in during)
    # It has been told how long, and the time was running out.
    assert min(seconds for seconds, _ in during) < during[0][0] - 5

    # Everything that was live answers as before; so does what was trained meanwhile.
    after = live_models(gateway)
    assert answer_as_before(before, after)
    (new,) = [model for model in after if ":lodger:" in model]
    with gateway.client() as http:
        assert http.get(f"/v1/models/{new}").json()["lmft"]["probe"]["greedy_agreement"] == 1


def test_with_room_for_both_training_and_serving_go_on_together(
    gateway: Gateway, tmp_path: Path
) -> None:
    eventually(lambda: ready(gateway), "the server")
    log, sets = tmp_path / "train.log", ("--set", "training.epochs=50")
    with traffic(gateway) as seen, training("neighbour", log, None, *sets) as process:
        eventually(lambda: bool(living(Claim)) or process.poll() is not None, "the training")
        eventually(lambda: "lower priority" in log.read_text(), "its word")
        assert os.getpriority(os.PRIO_PROCESS, process.pid) == 10
        n_answers = len(seen.answers)
        eventually(lambda: len(seen.answers) > n_answers + 10, "answers")
        assert process.poll() is None, log.read_text()
    assert not seen.others
    assert not seen.refusals
    assert seen.agree()


@pytest.mark.long
def test_a_training_killed_in_the_middle_gives_the_device_back_and_the_next_one_has_its_turn(
    gateway: Gateway, tmp_path: Path
) -> None:
    eventually(lambda: ready(gateway), "the server")
    before, limit = live_models(gateway), limit_for_one(gateway)
    first_log, second_log = tmp_path / "first.log", tmp_path / "second.log"
    with (
        traffic(gateway) as seen,
        training("first", first_log, limit, "--set", "training.epochs=50") as first,
    ):
        eventually(lambda: is_training(first_log), "the first steps")
        with training("second", second_log, limit) as second:
            eventually(lambda: "waiting for first-" in second_log.read_text(), "its place in line")
            assert not ready(gateway)
            first.send_signal(signal.SIGKILL)
            # The server may begin to come back, and has to go again.
            second.wait(START_SECONDS)
            assert second.returncode == 0, second_log.read_text()
        eventually(lambda: ready(gateway), "the engine to come back")
    assert not seen.others
    assert seen.agree()
    assert answer_as_before(before, live_models(gateway))


@pytest.mark.long
def test_a_server_that_starts_while_a_training_has_the_device_waits_for_it(
    gateway: Gateway, tmp_path: Path
) -> None:
    """Killed and started again in the midst of a training, by whoever keeps servers running."""
    eventually(lambda: ready(gateway), "the server")
    limit = limit_for_one(gateway)
    log = tmp_path / "train.log"
    with training("owner", log, limit, "--set", "training.epochs=50") as process:
        eventually(lambda: is_training(log), "the first steps")
        port = free_port()
        command = [sys.executable, "-m", "serving", "--port", str(port), "--no-ui"]
        server = subprocess.Popen(command, cwd=ROOT)
        late = Gateway(f"http://127.0.0.1:{port}", gateway.adapter_id, "", server)
        try:
            eventually(lambda: is_registered(server.pid), "the second server")
            assert "is being trained" in httpx.get(f"{late.url}/readyz", timeout=30).text
            assert not children(server.pid)
            process.send_signal(signal.SIGINT)
            assert process.wait(START_SECONDS) == 130
            eventually(lambda: ready(late), "its engine to start")
            assert live_models(late)
        finally:
            server.terminate()
            server.wait(START_SECONDS)
    eventually(lambda: ready(gateway), "the first server")
