"""The trainer's side: have its turn, have the servers make room, say how it gets on."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator

from lmft import paths
from lmft.device.priority import stepped_back
from lmft.device.records import Claim, Device, Serving, shared, this_device
from lmft.device.registered import Registered, living
from lmft.errors import MachineError

# Longer than a server takes to finish its answers and stop its engines, each of them bounded.
RELEASE_SECONDS = 180.0
_POLL_SECONDS = 0.2
_TICKETS = "tickets"


class Holding:
    """What the training in progress tells the others of itself."""

    def __init__(self, claim: Registered[Claim]) -> None:
        self._claim = claim

    def expect(self, seconds: float) -> None:
        """It will give the device back in so many seconds, as far as it can see now."""
        self._claim.update(ends_at=time.time() + seconds)


@contextlib.contextmanager
def hold(
    what: str,
    kind: str,
    *,
    need_bytes: int,
    seconds: float,
    alone: bool,
    say: Callable[[str], None],
) -> Iterator[Holding]:
    """Have the memory of the device `kind` (`cuda`, `cpu`) until the block or this process ends.

    With `alone` it waits until earlier trainings of that sort are done and every server has
    stopped its engines. Else it steps back behind the servers on the same CPU.

    Args:
        what: the run. need_bytes: at its peak. seconds: expected, until the end of the block.
        say: prints a line for people; called when there is something to wait for.

    Raises:
        MachineError: a server did not make room in time.
    """
    device = this_device(kind)
    with _claimed(what, device, need_bytes, seconds, alone) as claim:
        holding = Holding(claim)
        if alone:
            _wait_for_turn(claim.record, say)
            # What was expected before waiting is expected from here on.
            holding.expect(seconds)
            _wait_for_room(device, say)
            yield holding
            return
        servers = [
            one.pid
            for one in living(Serving)
            if shared(one.device, device) and one.pid != os.getpid()
        ]
        if kind != "cpu" or not servers:
            yield holding
            return
        say("a server runs on this machine: training at lower priority")
        with stepped_back(servers):
            yield holding


@contextlib.contextmanager
def _claimed(
    what: str, device: Device, need_bytes: int, seconds: float, alone: bool
) -> Iterator[Registered[Claim]]:
    directory = paths.home() / "device"
    with paths.disk_errors(directory):
        paths.make_dir(directory)
        tickets = os.open(directory / _TICKETS, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        # Whoever has a lower ticket can be seen by everyone with a higher one.
        fcntl.flock(tickets, fcntl.LOCK_EX)
        claim = Registered(
            Claim(
                pid=os.getpid(),
                what=what,
                device=device,
                need_bytes=need_bytes,
                alone=alone,
                ticket=time.monotonic_ns(),
                ends_at=time.time() + seconds,
            )
        )
    finally:
        os.close(tickets)
    with claim:
        yield claim


def _wait_for_turn(own: Claim, say: Callable[[str], None]) -> None:
    said = None
    while earlier := [
        one
        for one in living(Claim)
        if one.alone and one.ticket < own.ticket and shared(one.device, own.device)
    ]:
        first = min(earlier, key=lambda claim: claim.ticket)
        if said != first.ticket:
            said = first.ticket
            left = max(0.0, first.ends_at - time.time())
            say(f"waiting for {first.what} to be trained (process {first.pid}, {_about(left)})")
        time.sleep(_POLL_SECONDS)


def _wait_for_room(device: Device, say: Callable[[str], None]) -> None:
    deadline = time.monotonic() + RELEASE_SECONDS
    said = False
    while busy := [
        one for one in living(Serving) if not one.released and shared(one.device, device)
    ]:
        pids = ", ".join(str(one.pid) for one in busy)
        if not said:
            said = True
            say(f"waiting for the server to make room (process {pids}, {RELEASE_SECONDS:.0f} s)")
        if time.monotonic() > deadline:
            raise MachineError(
                f"The server (process {pids}) did not stop its engines within "
                f"{RELEASE_SECONDS:.0f} s, and this training does not fit beside them.",
                "Stop the server, or look in its log; then start this again.",
            )
        time.sleep(_POLL_SECONDS)


def _about(seconds: float) -> str:
    return f"about {seconds / 60:.0f} min" if seconds >= 120 else f"about {seconds:.0f} s"
