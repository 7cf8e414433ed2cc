"""Scalars for TensorBoard: an event file, written step by step in this thread.

tensorboardX's writer thread would die on a full disk and leave the training waiting for it; so
only its file format is used.
"""

from __future__ import annotations

import time
from pathlib import Path

from lmft.train.watch.journal import Row

_TAGS = {
    "loss": "train/loss",
    "token_accuracy": "train/token_accuracy",
    "learning_rate": "train/learning_rate",
    "grad_norm": "train/grad_norm",
    "tokens_per_second": "train/tokens_per_second",
    "mfu": "train/mfu",
    "peak_memory_bytes": "train/peak_memory_bytes",
    "heldout_loss": "heldout/nats_per_byte",
    "heldout_token_accuracy": "heldout/token_accuracy",
}


class EventFile:
    """The `events.out.tfevents.*` file of one attempt at a run."""

    def __init__(self, directory: Path, resumed_at: int | None) -> None:
        """
        Args:
            resumed_at: TensorBoard forgets what earlier files say of steps beyond it.
        """
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import SessionLog

        directory.mkdir(exist_ok=True)
        self._writer = EventsWriter(str(directory / "events"))
        if resumed_at is not None:
            started = SessionLog(status=SessionLog.START)
            self._write(resumed_at + 1, session_log=started)

    def add(self, row: Row) -> None:
        """The scalars of a row of metrics."""
        from tensorboardX.proto.summary_pb2 import Summary

        values = [
            Summary.Value(tag=tag, simple_value=float(row[key]))
            for key, tag in _TAGS.items()
            if row.get(key) is not None
        ]
        self._write(row["step"], summary=Summary(value=values))

    def close(self) -> None:
        self._writer.close()

    def _write(self, step: int, **content: object) -> None:
        from tensorboardX.proto.event_pb2 import Event

        self._writer.write_event(Event(wall_time=time.time(), step=step, **content))
        self._writer.flush()
