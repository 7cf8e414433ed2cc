"""The database looked after: damage and broken rules are found, a backup is whole."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import pytest
from sqlalchemy import text

from lmft.errors import DiskFullError, InputError, StoreError
from lmft.store.care import backup, faults, require_whole
from lmft.store.database import Store, open_store
from lmft.store.keys import Keys
from tests.conftest import run_lmft
from tests.unit.small_disk import mounted


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "lmft.db"


@pytest.fixture
def store(file: Path):
    opened = open_store(file)
    yield opened
    opened.close()


JOB = (
    "INSERT INTO jobs (id, project, status, wish, hold, priority, method, model, seed, adapter,"
    " training_file, files, request, recipe, integrations, attempt, step, created_at)"
    " VALUES ('ftjob-1', 1, 'queued', '', 0, 0, 'sft', 'embedded', 1, 'a', 'file-1', '[]', '{}',"
    " '{}', '[]', 0, 0, 1)"
)
FILE = (
    "INSERT INTO files (id, project, purpose, filename, bytes, sha256, created_at)"
    f" VALUES ('file-1', {{project}}, 'fine-tune', 'a', 1, '{'0' * 64}', 1)"
)


def test_a_new_one_is_whole_and_so_is_one_in_use(store: Store) -> None:
    require_whole(store)
    assert faults(store) == []
    Keys(store).create("app")
    with store.writing() as connection:
        connection.execute(text(FILE.format(project=1)))
        connection.execute(text(JOB))
    assert faults(store) == []


@pytest.mark.parametrize(
    ("statements", "says"),
    [
        ([JOB], "training_file is no file of its project: ftjob-1"),
        (
            [
                "INSERT INTO projects (name, created_at) VALUES ('b', 1)",
                FILE.format(project=2),
                JOB,
            ],
            "training_file is no file of its project: ftjob-1",
        ),
        (
            [FILE.format(project=1), JOB, "UPDATE jobs SET status = 'running', attempt = 1"],
            "runs without an active attempt: ftjob-1",
        ),
        (
            [FILE.format(project=1), JOB, "UPDATE jobs SET attempt = 1"],
            "attempts are not all there: ftjob-1",
        ),
        (
            [
                *(FILE.format(project=1), JOB, "UPDATE jobs SET attempt = 1"),
                "INSERT INTO attempts (job, attempt, worker, started_at) VALUES (1, 1, 'w', 1)",
            ],
            "does not run and has an active attempt: ftjob-1",
        ),
        (
            [
                *(FILE.format(project=1), JOB),
                "UPDATE jobs SET status = 'running', attempt = 1",
                "INSERT INTO attempts (job, attempt, worker, started_at, ended_at, outcome)"
                " VALUES (1, 1, 'w', 1, 2, 'lost')",
                "UPDATE jobs SET status = 'succeeded', fine_tuned_model = 'a', finished_at = 2",
            ],
            "succeeded by an attempt that was not done: ftjob-1",
        ),
        (
            [
                *(FILE.format(project=1), JOB, "DROP TRIGGER events_insert_rule"),
                "INSERT INTO events (id, job, attempt, level, type, message, created_at)"
                " VALUES ('e', 1, 7, 'info', 'message', 'x', 1)",
            ],
            "of an attempt that there never was: e",
        ),
    ],
)
def test_what_cannot_be_is_found(store: Store, statements: list[str], says: str) -> None:
    with store.writing() as connection:
        for statement in statements:
            connection.execute(text(statement))
    assert any(says in fault for fault in faults(store))


def test_a_row_that_refers_to_none_is_found(store: Store, file: Path) -> None:
    other = sqlite3.connect(file)
    other.execute("INSERT INTO key_scopes VALUES (99, 'metrics')")
    other.commit()
    other.close()
    assert faults(store) == ["row 1 of key_scopes refers to a row of keys that is not there"]


def test_a_damaged_page_is_found_at_the_start_and_by_the_command(store: Store, file: Path) -> None:
    for number in range(200):
        with store.writing() as connection:
            connection.execute(
                text("INSERT INTO projects (name, created_at) VALUES (:name, 1)"),
                {"name": f"project-{number}-{'x' * 40}"},
            )
    store.close()
    content = bytearray(file.read_bytes())
    place = content.index(b"project-150-")
    start = place - place % 4096
    content[start : start + 8] = b"\xff" * 8
    file.write_bytes(content)
    with pytest.raises(StoreError) as caught:
        require_whole(store)
    assert "\n" not in str(caught.value)
    done = run_lmft("db", "check", LMFT_HOME=str(file.parent))
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1


def test_a_backup_is_whole_and_the_owners_alone(store: Store, file: Path, tmp_path: Path) -> None:
    key, _ = Keys(store).create("app")
    target = tmp_path / "elsewhere" / "copy.db"
    target.parent.mkdir()
    assert backup(store, target) == target.stat().st_size
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert list(target.parent.iterdir()) == [target]
    Keys(store).create("later")
    restored = open_store(target)
    assert Keys(restored).all() == [key]
    assert faults(restored) == []
    restored.close()
    with pytest.raises(InputError, match="exists already"):
        backup(store, target)
    with pytest.raises(InputError, match="no directory"):
        backup(store, tmp_path / "none" / "copy.db")


def test_a_backup_onto_a_full_disk_leaves_nothing(store: Store, tmp_path: Path) -> None:
    with mounted(tmp_path / "small", "size=64k") as small:
        with pytest.raises(DiskFullError):
            backup(store, small / "copy.db")
        assert list(small.iterdir()) == []
    assert faults(store) == []


def test_of_postgresql_it_names_the_tool_that_does(postgres_url: str, tmp_path: Path) -> None:
    environment = {"LMFT_DATABASE_URL": postgres_url, "LMFT_HOME": str(tmp_path)}
    done = run_lmft("db", "backup", str(tmp_path / "copy.db"), **environment)
    assert done.returncode == 2
    assert "pg_dump" in done.stderr
    assert "correct" not in done.stderr
    done = run_lmft("db", "check", **environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("the database postgresql:///tmp/")
    assert list(tmp_path.iterdir()) == []


def test_the_commands(tmp_path: Path) -> None:
    home = str(tmp_path / "home")
    done = run_lmft("db", "check", LMFT_HOME=home)
    assert done.returncode == 2
    assert "There is no database" in done.stderr
    assert not Path(home).exists()
    assert run_lmft("keys", "create", "a", LMFT_HOME=home).returncode == 0
    assert "is whole" in run_lmft("db", "check", LMFT_HOME=home).stdout
    copy = tmp_path / "copy.db"
    assert run_lmft("db", "backup", str(copy), LMFT_HOME=home).returncode == 0
    assert copy.exists()
