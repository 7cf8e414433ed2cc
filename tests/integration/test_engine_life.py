"""The engine's life and death, with real processes: no orphan, no silent base model."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from lmft import paths
from lmft.registry.adapters import get_adapter, write_manifest
from tests.conftest import ROOT, START_SECONDS, Adapters, free_port, run_lmft, wait_ready

pytestmark = pytest.mark.engine


def family(pid: int) -> set[int]:
    """The process and all its descendants, from /proc."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, queue = {pid}, [pid]
    while queue:
        for child in children.get(queue.pop(), []):
            found.add(child)
            queue.append(child)
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def command_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def eventually(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + START_SECONDS / 4
    while not condition():
        assert time.monotonic() < deadline, f"still waiting for {what}"
        time.sleep(0.1)


@pytest.fixture
def server(adapters: Adapters) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A server of the test's own, to be killed."""
    port = free_port()
    command = [sys.executable, "-m", "lmft.cli", "serve", "--port", str(port), "--no-ui"]
    process = subprocess.Popen([*command, "--model", adapters.adventure], cwd=ROOT)
    try:
        wait_ready(f"http://127.0.0.1:{port}", process)
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def test_a_killed_engine_comes_back_and_ctrl_c_leaves_nothing(
    server: tuple[subprocess.Popen[bytes], str], adapters: Adapters
) -> None:
    process, url = server
    (engine,) = (pid for pid in family(process.pid) if b"serving.engine.child" in command_of(pid))
    os.kill(engine, signal.SIGKILL)
    eventually(lambda: httpx.get(f"{url}/readyz").status_code == 503, "the loss to be noticed")
    body = {"model": adapters.adventure, "prompt": "You", "max_tokens": 1}
    refused = httpx.post(f"{url}/v1/completions", json=body)
    assert refused.status_code == 503
    assert refused.headers["retry-after"]
    assert refused.json()["error"]["code"] == "engine_starting"

    eventually(lambda: httpx.get(f"{url}/readyz").status_code == 200, "the engine to come back")
    assert httpx.post(f"{url}/v1/completions", json=body, timeout=60).status_code == 200

    everyone = family(process.pid)
    process.send_signal(signal.SIGINT)
    process.wait(timeout=START_SECONDS)
    eventually(lambda: not any(map(alive, everyone)), "every process to end")


def test_a_killed_server_takes_the_engine_with_it(
    server: tuple[subprocess.Popen[bytes], str],
) -> None:
    process, _ = server
    everyone = family(process.pid)
    assert len(everyone) >= 3
    process.kill()
    process.wait()
    eventually(lambda: not any(map(alive, everyone)), "every process to end")


def test_an_adapter_that_is_not_what_was_trained_is_refused_with_the_figure(
    adapters: Adapters, tmp_path: Path
) -> None:
    """The weights are swapped for others after the reference was written, manifest and all."""
    home = tmp_path / "home"
    shutil.copytree(paths.home(), home)
    original = get_adapter(adapters.adventure)
    other = get_adapter(adapters.character)
    victim = home / "adapters" / original.path.name
    shutil.copyfile(other.path / "adapter_model.safetensors", victim / "adapter_model.safetensors")
    manifest = original.manifest
    write_manifest(
        victim,
        adapter_id=original.id,
        **{
            name: getattr(manifest, name)
            for name in (
                *("base", "base_hash", "variant", "quantization", "rank", "corpus_hash"),
                "training",
            )
        },
    )
    done = run_lmft(
        "serve", "--no-ui", "--port", str(free_port()), "--model", adapters.adventure,
        LMFT_HOME=str(home),
    )  # fmt: skip
    assert done.returncode == 1
    assert "is not served" in done.stderr
    assert "nats" in done.stderr
    assert "Traceback" not in done.stderr


def test_where_vllms_own_operators_mix_up_a_batch_the_adapter_is_served_merged(
    adapters: Adapters, tmp_path: Path
) -> None:
    """Without our operators the base's rows get an adapter: the probe sees it, and the merged
    model, which needs none of them, passes."""
    (tmp_path / "sitecustomize.py").write_text(
        "import serving.vllm_plugin.cpu_lora_seam as seam\nseam.install = lambda: None\n"
    )
    url = f"http://127.0.0.1:{(port := free_port())}"
    command = [sys.executable, "-m", "lmft.cli", "serve", "--port", str(port), "--no-ui"]
    process = subprocess.Popen(
        [*command, "--model", adapters.adventure],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    try:
        wait_ready(url, process)
        entries = httpx.get(f"{url}/v1/models").json()["data"]
        served = next(entry["lmft"] for entry in entries if entry["id"] == adapters.adventure)
        assert (served["service"], served["state"]) == ("merged", "live")
        assert "answers in a mixed batch differ" in served["detail"]
        body = {"model": adapters.adventure, "prompt": "You", "max_tokens": 1}
        assert httpx.post(f"{url}/v1/completions", json=body, timeout=60).status_code == 200
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=START_SECONDS)


def test_a_changed_file_is_noticed_before_it_is_loaded(adapters: Adapters, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(paths.home(), home)
    victim = home / "adapters" / get_adapter(adapters.adventure).path.name / "adapter_config.json"
    config = json.loads(victim.read_text())
    victim.write_text(json.dumps(config | {"lora_alpha": 1}))
    done = run_lmft("models", "show", adapters.adventure, LMFT_HOME=str(home))
    assert done.returncode == 1
    assert "adapter_config.json" in done.stderr
