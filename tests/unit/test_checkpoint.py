"""Checkpoints: whole or not there, the newest that verifies, never another job's."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from lmft.errors import DiskFullError, InputError, MachineError
from lmft.train.durable.checkpoint import MANIFEST, Checkpoints, step_of
from lmft.train.durable.jobkey import JobKey
from tests.unit.small_disk import mounted

KEY = JobKey(recipe="r", base="b", corpus="c")


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    return Checkpoints(tmp_path / "checkpoints", tmp_path / "quarantine", KEY)


def fill(directory: Path) -> None:
    (directory / "adapter.safetensors").write_bytes(b"weights" * 100)
    (directory / "state.json").write_text("{}")


def silent(text: str) -> None:
    raise AssertionError(text)


def test_the_newest_is_found_and_two_are_kept(checkpoints):
    assert checkpoints.newest(silent) is None
    for step in (1, 9, 10, 100):
        checkpoints.write(step, fill)
    found = checkpoints.newest(silent)
    assert step_of(found) == 100
    assert sorted(map(step_of, checkpoints.directory.iterdir())) == [10, 100]


def cut_short(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def flip_a_bit(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("harm", [cut_short, flip_a_bit, os.remove])
@pytest.mark.parametrize("name", ["adapter.safetensors", "state.json", MANIFEST])
def test_a_damaged_one_goes_to_quarantine_with_a_word_and_the_one_before_is_used(
    checkpoints, tmp_path, harm, name
):
    checkpoints.write(1, fill)
    harm(checkpoints.write(2, fill) / name)
    said: list[str] = []
    assert step_of(checkpoints.newest(said.append)) == 1
    assert len(said) == 1
    assert "step-00000002" in said[0]
    assert [one.name for one in (tmp_path / "quarantine").iterdir()] == ["step-00000002-1"]


def test_a_pickle_that_was_put_into_it_makes_it_a_damaged_one(checkpoints):
    checkpoints.write(1, fill)
    (checkpoints.write(2, fill) / "optimizer.pt").write_bytes(b"\x80\x04.")
    assert step_of(checkpoints.newest(lambda text: None)) == 1


def test_when_all_are_damaged_training_does_not_silently_start_afresh(checkpoints):
    cut_short(checkpoints.write(1, fill) / "state.json")
    with pytest.raises(MachineError, match="No checkpoint"):
        checkpoints.newest(lambda text: None)
    with pytest.raises(MachineError, match="No checkpoint"):
        checkpoints.newest(silent)


@pytest.mark.parametrize(
    ("field", "word"), [("recipe", "recipe"), ("base", "base"), ("corpus", "text")]
)
def test_a_checkpoint_of_another_job_is_refused_and_stays(checkpoints, tmp_path, field, word):
    checkpoints.write(3, fill)
    other = Checkpoints(
        checkpoints.directory, tmp_path / "quarantine", KEY.model_copy(update={field: "other"})
    )
    with pytest.raises(InputError, match=word):
        other.newest(silent)
    assert step_of(checkpoints.newest(silent)) == 3


def test_what_a_killed_process_left_is_swept_away(checkpoints, tmp_path):
    checkpoints.write(1, fill)
    # Its number may be ours again after a restart: under the lock that does not matter.
    for left in (f".staging-{os.getpid()}-x", ".removed-step-00000000"):
        (checkpoints.directory / left).mkdir()
    again = Checkpoints(checkpoints.directory, tmp_path / "quarantine", KEY)
    assert [one.name for one in again.directory.iterdir()] == ["step-00000001"]


def test_a_failure_while_writing_leaves_what_was_there(checkpoints):
    checkpoints.write(1, fill)

    def fail(directory: Path) -> None:
        fill(directory)
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(DiskFullError):
        checkpoints.write(2, fail)
    assert [one.name for one in checkpoints.directory.iterdir()] == ["step-00000001"]
    assert step_of(checkpoints.newest(silent)) == 1


def test_a_disk_that_fills_up_loses_nothing_that_was_written(tmp_path):
    with mounted(tmp_path / "disk", "size=256k") as disk:
        small = Checkpoints(disk / "checkpoints", disk / "quarantine", KEY)

        def big(directory: Path) -> None:
            (directory / "adapter.safetensors").write_bytes(os.urandom(100_000))

        small.write(1, big)
        small.write(2, big)
        with pytest.raises(DiskFullError):
            small.write(3, big)
        assert sorted(map(step_of, small.directory.iterdir())) == [1, 2]
        assert step_of(small.newest(silent)) == 2
