"""The store on a real PostgreSQL: the promises of a transaction, its errors, a server that goes."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from lmft.errors import InputError, StoreError
from lmft.jobs.attempts import Attempts, Made
from lmft.jobs.job import Said
from lmft.jobs.queue import JobQueue
from lmft.store.care import faults
from lmft.store.database import Store, open_store, store_exists
from lmft.store.deployments import Deployments
from lmft.store.job_tables import upload_parts, uploads
from lmft.store.keys import Keys
from lmft.store.moving import move
from lmft.store.tables import metadata, projects
from serving.gateway.errors import public
from tests.conftest import ROOT, run_lmft
from tests.fault.job_writer import new_job
from tests.postgres import PASSWORD, Server


@pytest.fixture
def store(postgres_url: str):
    opened = open_store(postgres_url)
    yield opened
    opened.close()


def add(store: Store, name: str) -> None:
    with store.writing() as connection:
        connection.execute(insert(projects).values(name=name, created_at=1))


def test_the_environment_names_it(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LMFT_DATABASE_URL", postgres_url)
    assert store_exists()
    for _ in range(2):
        store = open_store()
        assert "PostgreSQL" in str(_scalar(store, "SELECT version()"))
        store.close()


def _scalar(store: Store, query: str) -> object:
    with store.reading() as connection:
        return connection.scalar(text(query))


def test_what_a_writer_reads_stays_true_until_it_commits(store: Store) -> None:
    """Twenty threads count up by reading and writing back: none is lost."""

    def count() -> None:
        for _ in range(10):
            with store.writing() as connection:
                jobs = connection.scalar(select(projects.c.active_jobs))
                connection.execute(update(projects).values(active_jobs=(jobs or 0) + 1))

    threads = [threading.Thread(target=count) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert _scalar(store, "SELECT active_jobs FROM projects") == 200


def test_numbers_appear_in_the_order_in_which_they_are_given(store: Store) -> None:
    """A reader by cursor would miss a number that is committed after a greater one."""
    done = threading.Event()

    def write(who: int) -> None:
        for number in range(20):
            add(store, f"p-{who}-{number}")

    seen: list[int] = []

    def follow() -> None:
        while not done.is_set():
            with store.reading() as connection:
                newer = select(projects.c.id).where(projects.c.id > max(seen, default=0))
                seen.extend(connection.scalars(newer.order_by(projects.c.id)))

    writers = [threading.Thread(target=write, args=(who,)) for who in range(4)]
    reader = threading.Thread(target=follow)
    for thread in (*writers, reader):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    reader.join()
    with store.reading() as connection:
        every = list(connection.scalars(select(projects.c.id).order_by(projects.c.id)))
    assert seen == every[: len(seen)]
    assert len(every) == 81


def test_a_reader_sees_one_moment_and_neither_waits_nor_writes(store: Store) -> None:
    with store.reading() as connection:
        before = connection.scalars(select(projects.c.name)).all()
        add(store, "meanwhile")
        assert connection.scalars(select(projects.c.name)).all() == before == ["me"]
    with store.writing() as writer:
        writer.execute(insert(projects).values(name="half", created_at=1))
        with store.reading() as connection:
            assert connection.scalars(select(projects.c.name)).all() == ["me", "meanwhile"]
    with pytest.raises(StoreError, match="read-only"), store.reading() as connection:
        connection.execute(insert(projects).values(name="x", created_at=1))


def test_a_writer_waits_five_seconds_for_another_and_then_says_so(store: Store) -> None:
    began = time.monotonic()
    with store.writing(), pytest.raises(StoreError, match="try again"):
        add(store, "late")
    assert time.monotonic() - began >= 5
    assert _scalar(store, "SELECT count(*) FROM projects") == 1


def test_a_broken_rule_is_an_integrity_error_in_both(store: Store) -> None:
    key, _ = Keys(store).create("app")
    for statement in (
        "DELETE FROM keys",
        "UPDATE keys SET name = 'other', revoked_at = 1",
        "INSERT INTO key_scopes VALUES (99, 'metrics')",
        "INSERT INTO key_scopes VALUES (1, 'root')",
        "INSERT INTO projects (name, created_at) VALUES ('me', 1)",
        "INSERT INTO projects (name) VALUES ('a')",
    ):
        with pytest.raises(IntegrityError), store.writing() as connection:
            connection.execute(text(statement))
    assert Keys(store).all() == [key]


def test_what_it_cannot_hold_is_the_askers_error(store: Store) -> None:
    for name in ("x" * 65, "a\0b"):
        with pytest.raises(InputError):
            add(store, name)


def test_after_the_server_was_restarted_the_next_request_is_answered(
    postgres_server: Server, store: Store
) -> None:
    add(store, "before")
    postgres_server.stop()
    with pytest.raises(StoreError, match="cannot be used") as caught:
        add(store, "meanwhile")
    assert "\n" not in str(caught.value)
    postgres_server.start()
    add(store, "after")
    assert _scalar(store, "SELECT count(*) FROM projects") == 3


def test_a_transaction_that_the_server_ended_leaves_nothing(store: Store) -> None:
    half = "WITH half AS (INSERT INTO projects (name, created_at) VALUES ('half', 1)) "
    with pytest.raises(StoreError), store.writing() as connection:
        connection.execute(text(half + "SELECT pg_terminate_backend(pg_backend_pid())"))
    assert _scalar(store, "SELECT count(*) FROM projects") == 1


def test_one_of_a_newer_lmft_is_refused(store: Store, postgres_url: str) -> None:
    with store.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match=r"newer lmft \(step 9999\)"):
        open_store(postgres_url)


def test_stores_opened_at_once_are_all_whole(postgres_url: str) -> None:
    found: list[object] = []

    def use(number: int) -> None:
        opened = open_store(postgres_url)
        Deployments(opened).want(f"ft:embedded:me:tale{number}", "x", "tested")
        found.append(_scalar(opened, "SELECT count(*) FROM alembic_version"))
        opened.close()

    threads = [threading.Thread(target=use, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1] * 8


@pytest.mark.parametrize(
    ("url", "error", "says"),
    [
        (f"postgresql://u:{PASSWORD}@127.0.0.1:1/d", StoreError, "127.0.0.1/d"),
        (f"postgresql://u@127.0.0.1:1/d?password={PASSWORD}", StoreError, "127.0.0.1/d"),
        (f"postgresql://u:{PASSWORD}@127.0.0.1:1/d?nonsense=1", StoreError, "nonsense"),
        (f"postgresql://u:{PASSWORD}@nowhere.invalid/d", StoreError, "nowhere.invalid/d"),
        (f"postgresql://u:{PASSWORD}@127.0.0.1:port/d", InputError, "not one of PostgreSQL"),
        (f"mysql://u:{PASSWORD}@127.0.0.1/d", InputError, "not one of PostgreSQL"),
        (PASSWORD, InputError, "not one of PostgreSQL"),
    ],
)
def test_a_password_is_in_no_error(url: str, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says) as caught:
        open_store(url)
    cause: BaseException | None = caught.value
    while cause is not None:
        assert PASSWORD not in str(cause)
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    assert "\n" not in str(caught.value)
    # Nor is the machine in what a server answers.
    assert not re.search(r"127.0.0.1|nowhere", public(str(caught.value)))


def test_one_that_is_not_utf8_is_refused(postgres_server: Server) -> None:
    done = postgres_server.ask(
        "CREATE DATABASE ascii OWNER lmft ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0"
    )
    assert done.returncode == 0, done.stderr
    with pytest.raises(StoreError, match="encoding SQL_ASCII"):
        open_store(f"postgresql://lmft@/ascii?host={postgres_server.sockets}")


# Moving in from SQLite


def lived_in(file: Path) -> Store:
    """An SQLite store in use: keys, jobs that ended in their ways, a number that was given up."""
    store = open_store(file)
    Keys(store).create("app", models=["embedded"])
    Keys(store).create("gone")
    Keys(store).revoke("gone")
    attempts = Attempts(store, "w")
    for number in range(3):
        attempts.validated(new_job(store), {"corpus": {}}, {}, 9, tokens=900)
        job = attempts.claim()
        assert job is not None
        attempts.progress(job, [Said("", data={"loss": 0.5}, type="metrics")] * 3, step=1)
        if number == 0:
            attempts.ended_early(job, "lost", "killed")
        elif number == 1:
            attempts.succeeded(job, Made(job.adapter, 9, None, [(1, "m", {})]))
    with store.writing() as connection:
        connection.execute(insert(uploads).values(UPLOAD))
        connection.execute(insert(upload_parts).values(id="part-1", **PART))
    with store.writing() as connection:
        connection.execute(delete(upload_parts))
    return store


UPLOAD = {
    **{"id": "upload_1", "project": 1, "purpose": "fine-tune", "filename": "a", "bytes": 1},
    **{"mime_type": "text/plain", "status": "pending", "created_at": 1, "expires_at": 2},
}
PART = {"upload": "upload_1", "bytes": 1, "created_at": 1}


def everything(store: Store) -> dict[str, list[tuple]]:
    with store.reading() as connection:
        return {
            table.name: [
                tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))
            ]
            for table in metadata.sorted_tables
        }


def test_all_that_sqlite_held_is_moved_and_goes_on(store: Store, tmp_path: Path) -> None:
    old = lived_in(tmp_path / "lmft.db")
    rows = everything(old)
    assert move(old, store) == sum(map(len, rows.values()))
    assert everything(store) == rows
    old.close()
    assert faults(store) == []
    with pytest.raises(IntegrityError), store.writing() as connection:
        connection.execute(text("DELETE FROM events"))
    job = new_job(store)
    assert job.number == 4
    with store.writing() as connection:
        connection.execute(insert(upload_parts).values(id="part-2", **PART))
        assert connection.scalar(select(upload_parts.c.number)) == 2


def test_only_a_new_database_is_moved_into(store: Store, tmp_path: Path) -> None:
    old = lived_in(tmp_path / "lmft.db")
    with pytest.raises(InputError, match="not PostgreSQL"):
        move(old, old)
    key, _ = Keys(store).create("app")
    with pytest.raises(InputError, match="holds keys already"):
        move(old, store)
    assert Keys(store).all() == [key]
    old.close()


def test_what_is_not_whole_is_not_moved(store: Store, tmp_path: Path) -> None:
    old = lived_in(tmp_path / "lmft.db")
    with old.writing() as connection:
        connection.execute(text("DROP TRIGGER files_update_rule"))
        connection.execute(text("DROP TRIGGER projects_update_rule"))
        connection.execute(insert(projects).values(name="other", created_at=1))
        connection.execute(text("UPDATE files SET project = 2"))
    with pytest.raises(StoreError, match="Nothing was moved"):
        move(old, store)
    old.close()
    assert _scalar(store, "SELECT count(*) FROM jobs") == 0
    assert _scalar(store, "SELECT count(*) FROM projects") == 1


def test_the_command_moves_a_backup_and_pg_dump_brings_it_back(
    postgres_server: Server, postgres_url: str, tmp_path: Path
) -> None:
    """As docs/runbook.md says it."""
    old = lived_in(tmp_path / "lmft.db")
    rows = everything(old)
    old.close()
    home, url = {"LMFT_HOME": str(tmp_path)}, {"LMFT_DATABASE_URL": postgres_url}
    assert run_lmft("db", "backup", str(tmp_path / "copy.db"), **home).returncode == 0
    done = run_lmft("db", "import", str(tmp_path / "copy.db"), **home, **url)
    assert done.returncode == 0, done.stderr
    assert "rows are now in the database postgresql://" in done.stdout
    assert PASSWORD not in done.stdout
    assert run_lmft("db", "import", str(tmp_path / "none.db"), **home, **url).returncode == 2
    dump = str(tmp_path / "dump")
    done = postgres_server.run("pg_dump", "-Fc", "-f", dump, postgres_url)
    assert done.returncode == 0, done.stderr
    other = postgres_server.database()
    done = postgres_server.run("pg_restore", "--no-owner", "-d", other, dump)
    assert done.returncode == 0, done.stderr
    restored = open_store(other)
    assert everything(restored) == rows
    assert faults(restored) == []
    new_job(restored)
    restored.close()


def test_a_worker_names_what_one_that_is_gone_left_and_a_person_gives_it_back(
    store: Store, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a restore without jobs/worker.lock."""
    monkeypatch.setenv("LMFT_HOME", str(tmp_path))
    monkeypatch.setenv("LMFT_DATABASE_URL", postgres_url)
    job = new_job(store)
    Attempts(store, "worker-gone").validated(job, {}, {}, 10, tokens=100)
    assert Attempts(store, "worker-gone").claim() is not None
    command = [sys.executable, "-W", "ignore", "-P", "-m", "lmft.jobs.worker"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as worker:
        assert worker.stderr is not None
        said = worker.stderr.readline()
        worker.terminate()
    assert said.endswith("lmft worker --take-over worker-gone\n")
    assert JobQueue(store).get(job.id).status == "running"
    taken = run_lmft("worker", "--take-over", "worker-gone")
    assert taken.stdout == f"{job.id} is queued now.\n"
