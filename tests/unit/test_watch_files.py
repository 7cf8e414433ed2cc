"""What a run writes as it goes: metrics, TensorBoard's file, and what is read from them again."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from lmft.train.watch.history import History
from lmft.train.watch.journal import Journal
from lmft.train.watch.tensorboard import EventFile
from tests.unit.watched import evaluation, metric


def rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_a_row_is_on_disk_before_the_next_one_comes(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "metrics.jsonl", None)
    journal.add(metric(1))
    assert rows(tmp_path / "metrics.jsonl") == [metric(1)]
    journal.close()


def test_going_on_from_a_checkpoint_drops_the_rows_beyond_it(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    before = Journal(file, None)
    for step in range(1, 9):
        before.add(metric(step))
    before.close()
    again = Journal(file, 5)
    again.add(metric(6, loss=2.0))
    again.close()
    assert rows(file) == again.rows == [*map(metric, range(1, 6)), metric(6, loss=2.0)]


def test_half_a_line_of_a_killed_run_is_dropped(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    file.write_text(json.dumps(metric(1)) + "\n" + json.dumps(metric(2))[:20])
    Journal(file, 2).close()
    assert rows(file) == [metric(1)]


def test_a_new_run_begins_with_no_rows(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    file.write_text(json.dumps(metric(1)) + "\n")
    Journal(file, None).close()
    assert file.read_text() == ""


def test_only_the_main_process_writes(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    file.write_text(json.dumps(metric(1)) + "\n" + json.dumps(metric(2)) + "\n")
    other = Journal(file, 1, writes=False)
    other.add(metric(3))
    other.close()
    assert rows(file) == [metric(1), metric(2)]
    assert other.rows == [metric(1), metric(3)]


def test_no_row_holds_what_is_no_json(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "metrics.jsonl", None)
    with pytest.raises(ValueError, match="Out of range"):
        journal.add(metric(1, loss=float("nan")))
    journal.close()


def test_before_and_after_are_over_all_held_out_documents() -> None:
    whole = {"heldout_loss_all": 1.4}
    history = History.of(
        [evaluation(0, 1.5, **whole), metric(1), evaluation(2, 1.2), evaluation(4, 1.1)], steps=4
    )
    assert (history.before, history.after) == (1.4, 1.1)
    assert [value for _, value in history.heldout] == [1.5, 1.2, 1.1]
    assert history.is_partial


def test_a_run_that_has_not_ended_has_no_held_out_loss_after() -> None:
    history = History.of([evaluation(0, 1.5), metric(1), evaluation(2, 1.2)], steps=4)
    assert (history.before, history.after) == (1.5, None)


def test_the_smoothed_loss_is_the_mean_at_first_and_lasting_values_win() -> None:
    losses = [4.0, 2.0, *[1.0] * 60]
    history = History.of([metric(step, loss) for step, loss in enumerate(losses, 1)], steps=62)
    smoothed = [value for _, value in history.smoothed]
    assert smoothed[0] == pytest.approx(4.0)
    assert smoothed[1] == pytest.approx((0.9 * 4.0 + 2.0) / 1.9)
    assert smoothed[-1] == pytest.approx(1.0, abs=0.01)


def events(directory: Path) -> list[Any]:
    """Those of all files in the directory; the record format is TFRecord's."""
    from tensorboardX.proto.event_pb2 import Event

    found = []
    for file in sorted(directory.iterdir(), key=lambda file: file.stat().st_mtime_ns):
        content = file.read_bytes()
        while content:
            (length,) = struct.unpack("<Q", content[:8])
            found.append(Event.FromString(content[12 : 12 + length]))
            content = content[16 + length :]
    return found


def test_tensorboard_gets_losses_and_what_is_known_besides(tmp_path: Path) -> None:
    file = EventFile(tmp_path / "tensorboard", None)
    file.add(metric(3, 2.5, mfu=None, learning_rate=0.5))
    file.add(evaluation(4, 1.25))
    file.close()
    scalars = [
        (event.step, value.tag, value.simple_value)
        for event in events(tmp_path / "tensorboard")
        for value in event.summary.value
    ]
    assert scalars == [
        (3, "train/loss", 2.5),
        (3, "train/learning_rate", 0.5),
        (4, "heldout/nats_per_byte", 1.25),
    ]


def test_tensorboard_is_told_to_forget_what_is_beyond_the_checkpoint(tmp_path: Path) -> None:
    EventFile(tmp_path, 7).close()
    (session,) = [event for event in events(tmp_path) if event.HasField("session_log")]
    assert session.step == 8
    assert session.session_log.status == session.session_log.START
