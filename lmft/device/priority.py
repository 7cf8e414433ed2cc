"""On a CPU both run, and training steps back: the server's answers go first.

A nice value counts only within a group of processes. Where the kernel makes a group of each
session (`sched_autogroup_enabled`, the default of most desktops), and that is how an engine is
started, the group must be made nicer as a whole; see sched(7), "The autogroup feature".
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

# Of ten parts of a busy core the server gets nine.
NICE = 10
_AUTOGROUP = "autogroup"
# The kernel takes a change of a group ten times a second at most.
_RETRY_SECONDS = 0.15


@contextlib.contextmanager
def stepped_back(servers: Iterable[int]) -> Iterator[None]:
    """Lower the priority of this process against the servers with these process ids.

    Afterwards its session has its priority back. The process itself does not: raising it is for
    the superuser. Nothing of this is done where the system does not let us.
    """
    for task in Path("/proc/self/task").glob("[0-9]*"):
        # On Linux each thread has a nice value of its own, which those it starts inherit.
        with contextlib.suppress(OSError):
            number = int(task.name)
            if os.getpriority(os.PRIO_PROCESS, number) < NICE:
                os.setpriority(os.PRIO_PROCESS, number, NICE)
    ours, before = _autogroup("self")
    # A server of our session would step back with us.
    if ours is None or before >= NICE or ours in (_autogroup(str(pid))[0] for pid in servers):
        yield
        return
    _set_autogroup(NICE)
    try:
        yield
    finally:
        _set_autogroup(before)


def _autogroup(process: str) -> tuple[str | None, int]:
    """Name and nice value of a process's group; no name where there are no such groups."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        if Path("/proc/sys/kernel/sched_autogroup_enabled").read_text().strip() == "1":
            name, _, value = Path(f"/proc/{process}/{_AUTOGROUP}").read_text().split()
            return name, int(value)
    return None, 0


def _set_autogroup(value: int) -> None:
    for _ in range(3):
        try:
            Path(f"/proc/self/{_AUTOGROUP}").write_text(str(value))
        except BlockingIOError:
            time.sleep(_RETRY_SECONDS)
        except OSError:
            return
        else:
            return
