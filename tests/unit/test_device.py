"""Who holds the machine's memory: records that die with their process, turns, room, priority."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lmft import machine
from lmft.device import hold as holding
from lmft.device.claims import Claims
from lmft.device.hold import hold
from lmft.device.memory import available, free_after_trainings, free_machine_bytes, limit_bytes
from lmft.device.records import Claim, Serving, shared, this_device
from lmft.device.registered import Registered, living
from lmft.errors import MachineError, UserError

ROOT = Path(__file__).resolve().parents[2]
MB, GB = 10**6, 10**9
DEADLINE_SECONDS = 60


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LMFT_HOME", str(tmp_path))
    monkeypatch.delenv("LMFT_MEMORY_GIB", raising=False)
    return tmp_path


@contextlib.contextmanager
def process(script: str, **popen: object) -> Iterator[subprocess.Popen[str]]:
    """A Python of its own, from its first line of output on; killed at the end."""
    child = subprocess.Popen(
        [sys.executable, "-u", "-c", script],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **popen,
    )
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def line(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


def eventually(condition) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def a_claim(**changes: object) -> Claim:
    fields = {"pid": os.getpid(), "what": "a", "device": ("cpu",), "need_bytes": 1, "alone": True}
    return Claim(**(fields | {"ticket": time.monotonic_ns(), "ends_at": time.time()} | changes))


HOLDING = """
from lmft.device.hold import hold
with hold("story-1", "cpu", need_bytes=1, seconds=90, alone=True, say=print):
    print("has it")
    input()
print("gave it back")
"""
SERVING = """
import os, sys
from lmft.device.records import Serving
from lmft.device.registered import Registered
held = b"x" * 200_000_000
with Registered(Serving(pid=os.getpid(), device=("cpu",), engine_bytes=150_000_000)) as made:
    print("serving")
    for _ in sys.stdin:
        made.update(released=True)
        print("released")
"""


def test_a_record_can_be_read_while_its_process_lives_and_not_after_a_kill(home: Path) -> None:
    with process(SERVING) as server:
        assert line(server) == "serving"
        (found,) = living(Serving)
        assert (found.pid, found.engine_bytes, found.released) == (server.pid, 150 * MB, False)
        os.kill(server.pid, signal.SIGKILL)
        server.wait()
        assert living(Serving) == []
    assert not list((home / "device").glob("serving-*"))


def test_a_record_changes_in_place_and_ends_with_its_block() -> None:
    with Registered(Serving(pid=1, device=("cpu",))) as made:
        made.update(released=True, engine_bytes=7)
        (found,) = living(Serving)
        assert (found.released, found.engine_bytes) == (True, 7)
        assert living(Claim) == []
    assert living(Serving) == []


def test_a_record_of_another_version_is_passed_over(home: Path) -> None:
    with Registered(Serving(pid=1, device=("cpu",))):
        (file,) = (home / "device").glob("serving-*")
        file.write_text('{"pid": 1, "something": "else"}')
        assert living(Serving) == []
        assert file.exists()


def test_trainings_that_need_the_whole_device_take_turns_also_after_a_kill() -> None:
    with process(HOLDING) as first:
        assert line(first) == "has it"
        with process(HOLDING) as second:
            waiting = "waiting for story-1 to be trained (process {}, about "
            assert line(second).startswith(waiting.format(first.pid))
            with process(HOLDING) as third:
                assert line(third).startswith(waiting.format(first.pid))
                os.kill(first.pid, signal.SIGKILL)
                assert line(second) == "has it"
                assert line(third).startswith(waiting.format(second.pid))
                second.communicate("\n")
                assert line(third) == "has it"


def test_a_training_waits_until_the_server_has_made_room_and_says_so() -> None:
    with process(SERVING) as server:
        line(server)
        with process(HOLDING) as training:
            assert f"waiting for the server to make room (process {server.pid}" in line(training)
            assert server.stdin is not None
            server.stdin.write("now\n")
            server.stdin.flush()
            assert line(training) == "has it"


def test_a_server_that_does_not_make_room_is_an_error_with_its_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(holding, "RELEASE_SECONDS", 0.3)
    with process(SERVING) as server:
        line(server)
        with (
            pytest.raises(MachineError, match=rf"process {server.pid}\) did not stop its engines"),
            hold("a", "cpu", need_bytes=1, seconds=1, alone=True, say=lambda _: None),
        ):
            pass
    assert living(Claim) == []


def test_a_server_that_dies_is_not_waited_for() -> None:
    with process(SERVING) as server:
        line(server)
        with process(HOLDING) as training:
            line(training)
            os.kill(server.pid, signal.SIGKILL)
            server.wait()
            assert line(training) == "has it"


def test_a_server_hears_who_wants_the_device_and_for_how_long() -> None:
    server = Claims("cpu")
    assert server.wanted() is None
    with hold("small", "cpu", need_bytes=1, seconds=9, alone=False, say=lambda _: None):
        assert server.wanted() is None
    server.release()
    with hold("large", "cpu", need_bytes=1, seconds=100, alone=True, say=lambda _: None) as held:
        wanted = server.wanted()
        assert wanted is not None
        assert wanted.reason == "large is being trained"
        assert 90 < wanted.seconds <= 100
        held.expect(30)
        assert 20 < server.wanted().seconds <= 30
        with Registered(a_claim(what="next", ends_at=time.time() + 50)):
            both = server.wanted()
            assert both.reason == "large and 1 more is being trained"
            assert 70 < both.seconds <= 80
        held.expect(-5)
        assert server.wanted().seconds > 0
    assert server.wanted() is None
    server.close()
    assert living(Serving) == []


def test_a_server_does_not_come_back_into_the_arms_of_the_next_training() -> None:
    server = Claims("cpu")
    server.release()
    with Registered(a_claim()):
        assert not server.resume()
        assert living(Serving)[0].released
    assert server.resume()
    assert not living(Serving)[0].released
    server.close()


def test_neither_side_misses_the_other_when_both_begin_at_once() -> None:
    """Whoever writes second sees the first: both believing to be alone would be a crash."""
    for _ in range(50):
        server, starts = Claims("cpu"), threading.Barrier(2)
        server.release()
        seen = []

        def come_back(server: Claims = server, starts=starts, seen=seen) -> None:
            starts.wait()
            seen.append(server.resume())

        thread = threading.Thread(target=come_back)
        thread.start()
        starts.wait()
        with Registered(a_claim()):
            serving = any(not one.released for one in living(Serving))
            thread.join()
            # If it came back, then before we looked.
            assert serving or not seen[0] or server.wanted() is not None
            if seen[0]:
                assert serving
        server.close()


def test_only_the_same_hardware_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1, 2")
    assert this_device("cuda") == ("cuda:1", "cuda:2")
    assert this_device("cpu") == ("cpu",)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    everything = this_device("cuda")
    assert shared(everything, ("cuda:3",))
    assert shared(("cuda:1", "cuda:2"), ("cuda:2",))
    assert not shared(("cuda:1",), ("cuda:2",))
    assert not shared(everything, ("cpu",))
    assert shared(("cpu",), ("cpu",))


def test_what_servers_would_give_back_counts_only_in_their_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machine, "free_memory_bytes", lambda: 4 * GB)
    assert not available("cpu").taken
    with Registered(Serving(pid=1, device=("cpu",), engine_bytes=3 * GB)) as server:
        assert (available("cpu").beside, available("cpu").in_their_place) == (4 * GB, 7 * GB)
        # What it has given up is free now, and will not be.
        server.update(released=True)
        assert (available("cpu").beside, available("cpu").in_their_place) == (1 * GB, 4 * GB)
    with process(HOLDING.replace("need_bytes=1", "need_bytes=3_000_000_000")) as training:
        line(training)
        found = available("cpu")
        # It has taken next to nothing of its 3 GB yet.
        assert 1 * GB < found.beside < 1.2 * GB
        assert found.in_their_place == found.beside + 3 * GB


def test_the_limit_counts_what_servers_and_other_trainings_hold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machine, "free_memory_bytes", lambda: 64 * GB)
    monkeypatch.setenv("LMFT_MEMORY_GIB", "1")
    assert free_machine_bytes() == 1 << 30
    with process(SERVING) as server:
        line(server)
        left = (1 << 30) - free_machine_bytes()
        assert 200 * MB < left < 300 * MB
        assert available("cpu").in_their_place - available("cpu").beside == 150 * MB
    monkeypatch.setattr(machine, "free_memory_bytes", lambda: 5 * MB)
    assert free_machine_bytes() == 5 * MB


def test_a_server_that_starts_during_a_training_reckons_with_what_that_will_give_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gpu = machine.Gpu("a", total_bytes=24 * GB, free_bytes=1 * GB, compute_capability=9.0)
    monkeypatch.setattr(machine, "gpus", lambda: (gpu,))
    with Registered(a_claim(device=("cuda",), need_bytes=20 * GB)):
        assert free_after_trainings("cuda") == 21 * GB
        with Registered(a_claim(device=("cuda",), need_bytes=20 * GB)):
            assert free_after_trainings("cuda") == 24 * GB
    monkeypatch.setattr(machine, "free_memory_bytes", lambda: 4 * GB)
    script = HOLDING.replace("with hold", "held = b'x' * 500_000_000\nwith hold")
    with process(script) as training:
        line(training)
        assert 4.5 * GB < free_after_trainings("cpu") < 4.6 * GB


@pytest.mark.parametrize("text", ["much", "-1", "0", "nan", "inf"])
def test_a_limit_that_is_no_number_of_gib_is_refused(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LMFT_MEMORY_GIB", text)
    with pytest.raises(UserError, match="LMFT_MEMORY_GIB"):
        limit_bytes()


STEPPING = """
import os, threading, time
from pathlib import Path
from lmft.device.priority import stepped_back
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
def nices():
    return sorted(os.getpriority(0, int(task.name)) for task in Path("/proc/self/task").iterdir())
def group():
    file = Path("/proc/self/autogroup")
    return file.read_text().split()[2] if file.exists() else "0"
print(nices(), group())
with stepped_back([{server}]):
    print(nices(), group())
print(group())
"""


def test_training_steps_back_behind_a_server_of_another_session_and_its_session_recovers() -> None:
    """Every thread, and the kernel's group: a nice value alone does nothing between sessions."""
    groups = Path("/proc/sys/kernel/sched_autogroup_enabled")
    grouped = groups.exists() and groups.read_text().strip() == "1"
    with process(STEPPING.format(server=os.getpid()), start_new_session=True) as training:
        assert line(training) == "[0, 0] 0"
        assert line(training) == f"[10, 10] {10 if grouped else 0}"
        assert line(training) == "0"
    # A server of the same session would step back too: then only the nice value is lowered.
    with process(STEPPING.format(server="os.getpid()"), start_new_session=True) as training:
        assert line(training) == "[0, 0] 0"
        assert line(training) == "[10, 10] 0"
