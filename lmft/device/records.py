"""What trainings and servers tell each other: Claim and Serving."""

from __future__ import annotations

import os

from lmft.device.registered import Record

Device = tuple[str, ...]


class Claim(Record):
    """A training, from the moment it wants its memory until it gives it back.

    Attributes:
        what: the run, for people.
        need_bytes: of memory, at its peak.
        alone: it does not fit beside the servers: they make room, and other such trainings wait.
        ticket: the lowest goes first; nanoseconds of the monotonic clock.
        ends_at: Unix time, as far as it can be foreseen.
    """

    what: str
    device: Device
    need_bytes: int
    alone: bool
    ticket: int
    ends_at: float


class Serving(Record):
    """A server.

    Attributes:
        engine_bytes: what its engines take while they run, as last measured.
        released: it has no engine now, and starts none before this is False again.
    """

    device: Device
    engine_bytes: int = 0
    released: bool = False


def this_device(kind: str) -> Device:
    """What this process computes on: the CPU, the GPUs that it sees, or all of them."""
    if kind == "cpu":
        return ("cpu",)
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return tuple(f"cuda:{one.strip()}" for one in visible.split(",") if one.strip()) or ("cuda",)


def shared(one: Device, other: Device) -> bool:
    """Whether the two are, or may be, the same piece of hardware."""
    if "cpu" in one or "cpu" in other:
        return one == other
    return "cuda" in (*one, *other) or bool(set(one) & set(other))
