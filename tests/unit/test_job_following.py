"""What a worker makes of a run's files, and of a trainer's end."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from lmft.ids import AdapterId
from lmft.jobs.attempt import Attempt
from lmft.jobs.concluding import ending_of, without_progress
from lmft.jobs.executors.base import Exited
from lmft.jobs.folder import EXIT_DISK_FULL
from lmft.jobs.following import Follower
from lmft.jobs.job import Event
from lmft.jobs.results import table

ADAPTER = AdapterId("tiny", "me", "tale", "0123abcd")


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("LMFT_HOME", str(tmp_path))
    made = tmp_path / "runs" / ADAPTER.directory
    made.mkdir(parents=True)
    return made


def line(**row: Any) -> str:
    return json.dumps(row) + "\n"


def test_before_the_run_begins_there_is_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("LMFT_HOME", str(tmp_path))
    follower = Follower(ADAPTER, 3)
    assert follower.new() == []
    assert follower.step() is None
    assert follower.ends_at() is None


def test_rows_become_events_in_openais_words_in_the_order_of_steps(run):
    (run / "metrics.jsonl").write_text(
        line(step=0, heldout_loss=3.21) + line(step=1, loss=0.219) + line(step=2, loss=0.2)
    )
    (run / "samples.jsonl").write_text(line(step=0, seed=1, text="x"))
    (run / "reached").write_bytes(b"2           ")
    follower = Follower(ADAPTER, 300)
    said = follower.new()
    assert [one.message for one in said] == [
        "Step 0/300: validation loss=3.21",
        "A sample of step 0",
        "Step 1/300: training loss=0.22",
        "Step 2/300: training loss=0.20",
    ]
    assert [one.type for one in said] == ["metrics", "message", "metrics", "metrics"]
    assert said[1].data == {"sample": {"step": 0, "seed": 1, "text": "x"}}
    assert follower.step() == 2
    assert follower.new() == []


def test_half_a_line_waits_for_its_end(run):
    file = run / "metrics.jsonl"
    whole = line(step=1, loss=0.5)
    file.write_text(whole[:10])
    follower = Follower(ADAPTER, 3)
    assert follower.new() == []
    with file.open("a") as more:
        more.write(whole[10:])
    assert [one.data for one in follower.new()] == [{"step": 1, "loss": 0.5}]


def test_steps_that_are_trained_again_are_not_said_again(run):
    file = run / "metrics.jsonl"
    file.write_text(line(step=1, loss=0.5) + line(step=2, loss=0.4))
    follower = Follower(ADAPTER, 3)
    assert len(follower.new()) == 2
    made = run / ".metrics.jsonl"
    made.write_text(line(step=1, loss=0.5))
    made.replace(file)
    with file.open("a") as more:
        more.write(line(step=2, loss=0.39) + line(step=3, loss=0.3))
    assert [one.data for one in follower.new()] == [{"step": 3, "loss": 0.3}]


def test_what_an_earlier_attempt_has_said_is_remembered(run):
    (run / "metrics.jsonl").write_text(line(step=1, loss=0.5) + line(step=1, heldout_loss=2.0))
    (run / "samples.jsonl").write_text(line(step=1, seed=1) + line(step=1, seed=2))
    follower = Follower(ADAPTER, 3)
    follower.remember(
        [
            Event(1, "a", "info", "metrics", "", {"step": 1, "loss": 0.5}, 0),
            Event(2, "b", "info", "message", "", {"sample": {"step": 1, "seed": 1}}, 0),
            Event(3, "c", "info", "message", "The job goes on", None, 0),
        ]
    )
    assert [one.data for one in follower.new()] == [
        {"step": 1, "heldout_loss": 2.0},
        {"sample": {"step": 1, "seed": 2}},
    ]


@pytest.mark.parametrize(
    ("said", "exited", "outcome"),
    [
        ({"ended": "done"}, Exited(0), "done"),
        ({"ended": "stopped"}, Exited(143), "stopped"),
        ({"ended": "crashed", "message": "RuntimeError: no"}, Exited(1), "lost"),
        (None, Exited(signal=signal.SIGKILL), "lost"),
        (None, Exited(signal=signal.SIGTERM), "stopped"),
        (None, Exited(), "lost"),
        (None, Exited(EXIT_DISK_FULL), "failed"),
        ({"ended": "failed", "code": "diverged", "message": "no"}, Exited(1), "failed"),
        ({"ended": "failed", "code": "stale_attempt", "message": "no"}, Exited(1), "stopped"),
    ],
)
def test_what_an_end_means(said, exited, outcome):
    assert ending_of(said, exited).outcome == outcome


def test_a_full_disk_says_so_even_where_the_trainer_could_not():
    error = ending_of(None, Exited(EXIT_DISK_FULL)).error
    assert error is not None
    assert error.code == "storage_full"


def lost(number: int, step: int, outcome: Any = "lost") -> Attempt:
    return Attempt(number, "worker", step, 0, 1, outcome, "")


class Now:
    """What is asked of the job in hand."""

    def __init__(self, attempt: int, step: int) -> None:
        self.attempt, self.step = attempt, step


@pytest.mark.parametrize(
    ("before", "step", "hopeless"),
    [
        ([], 0, False),
        ([lost(1, 0)], 0, False),
        ([lost(1, 0), lost(2, 0)], 0, True),
        ([lost(1, 0), lost(2, 5)], 5, False),
        ([lost(1, 5), lost(2, 5)], 9, False),
        # Somebody paused it in between: that was no loss.
        ([lost(1, 5), lost(2, 5, "paused")], 5, False),
    ],
)
def test_three_losses_without_progress_are_enough(before, step, hopeless):
    assert without_progress(before, Now(len(before) + 1, step)) is hopeless


def test_the_result_table_has_openais_columns_first_and_blanks_for_what_is_not_known():
    text = table([{"step": 0, "heldout_loss": 2.5}, {"step": 1, "loss": 0.25, "epoch": 0.5}])
    header, first, second = (row.split(",") for row in text.splitlines())
    assert header[:5] == [
        "step",
        "train_loss",
        "train_accuracy",
        "valid_loss",
        "valid_mean_token_accuracy",
    ]
    assert first[:5] == ["0", "", "", "2.5", ""]
    assert second[:6] == ["1", "0.25", "", "", "", "0.5"]
