"""Private text stays home: server, worker, trainer, engines and client go the whole way in a
network that is this machine alone, and none of them even tries to reach beyond it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, START_SECONDS

pytestmark = pytest.mark.engine

_ALONE = ("unshare", "--map-root-user", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")


def _can_be_alone() -> bool:
    if not (shutil.which("unshare") and shutil.which("ip")):
        return False
    return subprocess.run([*_ALONE, "true"], capture_output=True, check=False).returncode == 0


def alone(*command: str) -> subprocess.CompletedProcess[str]:
    """A command in a network namespace of its own, with nothing but loopback in it."""
    return subprocess.run(
        [*_ALONE, sys.executable, *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=3 * START_SECONDS,
        check=False,
    )


needs_namespaces = pytest.mark.skipif(
    not _can_be_alone(), reason="no network namespace can be made here (unshare, ip)"
)


@needs_namespaces
def test_the_whole_loop_reaches_nothing_beyond_this_machine(tmp_path: Path) -> None:
    done = alone("-m", "tests.security.home_alone", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["said"]
    assert told["beyond"] == {"ipv4": 0, "ipv6": 0}, done.stderr


@needs_namespaces
def test_whatever_reached_beyond_would_be_counted() -> None:
    attempts = """
import socket
from tests.security.home_alone import beyond
for family, address in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(family, kind) as one:
            try:
                one.connect((address, 443))
            except OSError:
                pass
print(beyond())
"""
    done = alone("-c", attempts)
    assert done.stdout.strip() == "{'ipv4': 2, 'ipv6': 2}", done.stdout + done.stderr
