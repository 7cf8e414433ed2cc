"""The memory that a training may count on: beside the servers, or in their place."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from lmft import machine
from lmft.device.records import Claim, Serving, shared, this_device
from lmft.device.registered import living
from lmft.errors import UserError

LIMIT_VARIABLE = "LMFT_MEMORY_GIB"


_later: ContextVar[bool] = ContextVar("later", default=False)


@contextlib.contextmanager
def once_trainings_are_done() -> Iterator[None]:
    """Inside, `available` reckons as if the trainings of this moment were over: for what is only
    planned now, and will be trained after them."""
    before = _later.set(True)
    try:
        yield
    finally:
        _later.reset(before)


@dataclass(frozen=True)
class Available:
    """Attributes:
    beside: bytes that are free while the servers and the other trainings go on.
    in_their_place: once the servers have made room, and the trainings that need that too are
        done. Both are 0 where the system does not say.
    """

    beside: int
    in_their_place: int

    @property
    def taken(self) -> bool:
        """Others have some of it, which they would give up."""
        return self.in_their_place > self.beside


def available(kind: str) -> Available:
    """What a training in this process could have of the device `kind`, `cuda` or `cpu`.

    Of a GPU only what is there in the servers' place: vLLM takes all it is given from the start.
    """
    device = this_device(kind)
    servers = [one for one in living(Serving) if shared(one.device, device)]
    others = [one for one in living(Claim) if one.pid != os.getpid() and shared(one.device, device)]
    free = machine.gpus()[0].free_bytes if kind == "cuda" else free_machine_bytes()
    if not free:
        return Available(0, 0)
    # Those that are there now, and what they will yet take.
    free -= sum(one.engine_bytes for one in servers if one.released)
    if kind == "cpu":
        free -= sum(max(0, one.need_bytes - held_bytes([one.pid])) for one in others)
    in_their_place = free + sum(one.engine_bytes for one in servers)
    in_their_place += sum(one.need_bytes for one in others if one.alone or _later.get())
    if kind == "cuda":
        in_their_place = min(in_their_place, machine.gpus()[0].total_bytes)
    return Available(max(1, free), max(1, in_their_place))


def free_after_trainings(kind: str) -> int:
    """What will be free of the device `kind` once the trainings of this moment are done: what a
    server that starts now may reckon with. 0 where the system does not say."""
    claims = [one for one in living(Claim) if shared(one.device, this_device(kind))]
    if kind == "cuda":
        gpu = machine.gpus()[0]
        # The driver's figure may be from before or after a training took its memory.
        return min(gpu.total_bytes, gpu.free_bytes + sum(one.need_bytes for one in claims))
    free = free_machine_bytes()
    return free + held_bytes(one.pid for one in claims) if free else 0


def free_machine_bytes() -> int:
    """Memory that can be had without swapping, within LMFT_MEMORY_GIB; 0 where nobody says.

    The variable limits what the trainings and servers of this data directory take together.
    """
    free, limit = machine.free_memory_bytes(), limit_bytes()
    if limit is None:
        return free
    users = {one.pid for one in living(Serving)} | {one.pid for one in living(Claim)}
    left = max(1, limit - held_bytes(users - {os.getpid()}))
    return min(free, left) if free else left


def limit_bytes() -> int | None:
    """Raise UserError where LMFT_MEMORY_GIB is no positive number."""
    text = os.environ.get(LIMIT_VARIABLE)
    if not text:
        return None
    with contextlib.suppress(ValueError):
        # nan is not greater than 0 either.
        if (limit := float(text)) > 0 and limit != float("inf"):
            return int(limit * (1 << 30))
    raise UserError(f"{LIMIT_VARIABLE} is {text!r}.", "Set it to a number of GiB, like 6.5.")


def held_bytes(pids: Iterable[int]) -> int:
    """What these processes and all their descendants hold of the machine's memory.

    Files that are only mapped do not count: the system takes them back when it needs room.
    """
    return sum(map(_private_bytes, _with_descendants(pids)))


def engine_bytes(kind: str) -> int:
    """What the descendants of this server hold of the device `kind`: its engines."""
    engines = _with_descendants([os.getpid()]) - {os.getpid()}
    engines -= _with_descendants(one.pid for one in living(Claim))
    if kind == "cpu":
        return sum(map(_private_bytes, engines))
    return machine.gpu_bytes_of(engines)


def _with_descendants(pids: Iterable[int]) -> set[int]:
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name in the second field may hold anything but ends with the last bracket.
            parent = int(stat.read_text(errors="replace").rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found: set[int] = set()
    todo = list(pids)
    while todo:
        pid = todo.pop()
        found.add(pid)
        todo += [child for child in children.get(pid, ()) if child not in found]
    return found


def _private_bytes(pid: int) -> int:
    """Anonymous and shared memory of a process; 0 when it is gone."""
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines()
        kept = ("RssAnon:", "RssShmem:")
        return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith(kept))
    return 0
