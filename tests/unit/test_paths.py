"""A directory appears whole or not at all, on disks that fail for real."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from lmft import paths
from lmft.errors import DiskFullError, MachineError
from tests.unit.small_disk import mounted


def publish(target: Path, text: str = "whole") -> None:
    with paths.publishing(target) as staging:
        (staging / "file").write_text(text)
        (staging / "sub").mkdir()
        (staging / "sub" / "file").write_text(text)


def test_a_directory_appears_with_all_its_files(tmp_path):
    target = tmp_path / "new" / "adapters" / "a-1"
    publish(target)
    assert sorted(file.relative_to(target).as_posix() for file in target.rglob("*")) == [
        "file",
        "sub",
        "sub/file",
    ]
    assert list(target.parent.iterdir()) == [target]
    assert target.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, OSError])
def test_whatever_goes_wrong_inside_leaves_nothing_and_is_not_swallowed(tmp_path, error):
    def fail():
        with paths.publishing(tmp_path / "a") as staging:
            (staging / "half").write_text("written")
            assert not (tmp_path / "a").exists()
            raise error("no")

    with pytest.raises(error):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_what_exists_is_not_replaced(tmp_path):
    publish(tmp_path / "a", "first")
    with pytest.raises(MachineError, match="a exists already"):
        publish(tmp_path / "a", "second")
    assert (tmp_path / "a" / "file").read_text() == "first"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


def test_a_file_in_the_way_is_not_replaced(tmp_path):
    (tmp_path / "a").write_text("mine")
    with pytest.raises(MachineError, match="a exists already"):
        publish(tmp_path / "a")
    assert (tmp_path / "a").read_text() == "mine"


def test_a_full_disk_is_said_and_left_as_it_was(tmp_path):
    with mounted(tmp_path / "disk", "size=1m") as disk:
        publish(disk / "before")
        with pytest.raises(DiskFullError, match=r"The disk of .* is full") as caught:
            publish(disk / "big", "x" * 3_000_000)
        assert "LMFT_HOME" in caught.value.hint
        assert [entry.name for entry in disk.iterdir()] == ["before"]


def test_a_full_disk_is_said_when_not_even_a_directory_fits(tmp_path):
    with mounted(tmp_path / "disk", "size=64k,nr_inodes=2") as disk:
        (disk / "last").touch()
        with pytest.raises(DiskFullError):
            publish(disk / "adapters" / "a")


def test_a_read_only_disk_is_said(tmp_path):
    with mounted(tmp_path / "disk", "ro") as disk, pytest.raises(MachineError) as caught:
        publish(disk / "a")
    assert not isinstance(caught.value, DiskFullError)
    assert "Read-only" in caught.value.message


def test_too_little_space_is_refused_before_the_work(tmp_path):
    free = paths.free_bytes(tmp_path / "not" / "yet" / "there")
    paths.require_free(tmp_path, free // 2, "A thing")
    with pytest.raises(DiskFullError, match=r"A thing needs \d+ MB on the disk of") as caught:
        paths.require_free(tmp_path / "not" / "yet", free * 2, "A thing")
    assert "LMFT_HOME" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_read_only_disk_is_refused_before_the_work(tmp_path):
    with mounted(tmp_path / "disk", "ro") as disk, pytest.raises(MachineError, match="A thing"):
        paths.require_free(disk / "adapters", 1, "A thing")


def test_a_file_where_the_data_directory_should_be_is_refused_before_the_work(tmp_path):
    (tmp_path / "home").write_text("a file")
    with pytest.raises(MachineError, match="home is not a directory you can write to"):
        paths.require_free(tmp_path / "home" / "adapters", 1, "A thing")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"LMFT_HOME": "/data/x"}, "/data/x"),
        ({"LMFT_HOME": "~/x"}, "/home/ada/x"),
        ({"LMFT_HOME": "", "XDG_DATA_HOME": "/xdg"}, "/xdg/lmft"),
        ({"LMFT_HOME": "", "XDG_DATA_HOME": ""}, "/home/ada/.local/share/lmft"),
    ],
)
def test_the_data_directory_is_where_the_environment_says(monkeypatch, environment, expected):
    monkeypatch.setenv("HOME", "/home/ada")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert paths.home() == Path(expected)


def test_the_home_of_nobody_is_a_name_like_any_other(monkeypatch):
    monkeypatch.setenv("LMFT_HOME", "~nobody-of-this-name/x")
    assert paths.home() == Path.cwd() / "~nobody-of-this-name" / "x"


def mode(directory: Path) -> int:
    return stat.S_IMODE(directory.stat().st_mode)


def test_a_data_directory_that_lmft_makes_is_its_users_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("LMFT_HOME", str(tmp_path / "there" / "lmft"))
    (usual := tmp_path / "usual").mkdir()
    paths.make_dir(paths.runs_dir())
    assert mode(paths.home()) == 0o700
    assert mode(paths.home().parent) == mode(usual)
    # Whoever opened it to others knows why.
    paths.home().chmod(0o750)
    paths.make_dir(paths.jobs_dir())
    assert mode(paths.home()) == 0o750


def test_a_folder_elsewhere_has_the_usual_mode(tmp_path, monkeypatch):
    monkeypatch.setenv("LMFT_HOME", str(tmp_path / "lmft"))
    (usual := tmp_path / "usual").mkdir()
    paths.make_dir(tmp_path / "books" / "compiled")
    assert not paths.home().exists()
    assert mode(tmp_path / "books") == mode(usual)


def test_a_hash_is_of_the_whole_file(tmp_path):
    (tmp_path / "a").write_bytes(b"")
    expected = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert paths.sha256_file(tmp_path / "a") == expected
    (tmp_path / "a").write_bytes(os.urandom(3_000_000))
    assert paths.sha256_file(tmp_path / "a") != expected


def test_what_a_killed_process_left_is_swept_and_what_a_living_one_writes_is_not(
    tmp_path: Path,
) -> None:
    killed = subprocess.Popen(["sleep", "1000"])
    killed.kill()
    killed.wait()
    dead, living = tmp_path / f".staging-{killed.pid}-x", tmp_path / f".staging-{os.getppid()}-x"
    dead.mkdir()
    living.mkdir()
    with paths.publishing(tmp_path / "a"):
        pass
    assert not dead.exists()
    assert living.exists()
