"""The database under power cuts, kills, locks, a full disk, and a backup while it is written."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select, text

from lmft.errors import DiskFullError, StoreError
from lmft.store.care import faults
from lmft.store.database import Store, open_store
from lmft.store.job_tables import events, jobs
from lmft.store.keys import Keys
from tests.conftest import ROOT, run_lmft
from tests.fault.job_writer import new_job
from tests.unit.small_disk import mounted

SECONDS = 120


class Writer:
    """A process that writes jobs, and what it has been told is written.

    Attributes:
        said: id of a job -> the last (status, number of events) that a commit was told of.
    """

    def __init__(self, place: Path | str, worker: str) -> None:
        self.said: dict[str, tuple[str, int]] = {}
        self._heard = threading.Condition()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.fault.job_writer", str(place), worker],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        self._reader = threading.Thread(target=self._listen)
        self._reader.start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            # One that was killed may have been in the middle of a line.
            if not line.endswith("\n"):
                break
            job, status, n_events = line.split()
            with self._heard:
                self.said[job] = (status, int(n_events))
                self._heard.notify_all()

    def wait_for_more(self, lines_of: int = 1) -> None:
        """Until it has told of so many more jobs."""
        with self._heard:
            enough = len(self.said) + lines_of
            assert self._heard.wait_for(lambda: len(self.said) >= enough, SECONDS)

    def told(self) -> dict[str, tuple[str, int]]:
        with self._heard:
            return dict(self.said)

    def stop(self) -> dict[str, tuple[str, int]]:
        """It stands still, in the middle of whatever it does; what it has told until then."""
        self.process.send_signal(signal.SIGSTOP)
        _, status = os.waitpid(self.process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        return self.told()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.over()

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.over()
        assert self.process.returncode == 0

    def over(self) -> None:
        """Wait until it has ended."""
        self.process.wait(SECONDS)
        self._reader.join(SECONDS)
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()


@contextlib.contextmanager
def writing(place: Path | str, worker: str = "w") -> Iterator[Writer]:
    writer = Writer(place, worker)
    try:
        yield writer
    finally:
        if writer.process.poll() is None:
            writer.kill()


RANKS = ("validating_files", "queued", "running", "ended")


def rank(status: str) -> int:
    return RANKS.index(status) if status in RANKS else RANKS.index("ended")


def nothing_told_is_missing(store: Store, told: dict[str, tuple[str, int]]) -> None:
    assert faults(store) == []
    with store.reading() as connection:
        counted = (
            select(jobs.c.id, jobs.c.status, func.count(events.c.number))
            .join(events, events.c.job == jobs.c.number)
            .group_by(jobs.c.id, jobs.c.status)
        )
        kept = {id: (status, n_events) for id, status, n_events in connection.execute(counted)}
    for id, (status, n_events) in told.items():
        assert id in kept
        assert kept[id][1] >= n_events
        # One that was lost with its worker has gone back to the queue.
        assert rank(kept[id][0]) >= rank(status) or kept[id][0] == "queued"
        if rank(status) == rank("ended"):
            assert kept[id][0] == status


def test_after_a_power_cut_all_that_was_told_is_there(tmp_path: Path) -> None:
    """The process stands still at a random moment while database and log are copied: what a
    disk holds whose machine loses its power then."""
    file = tmp_path / "lmft.db"
    chance = random.Random(1)
    with writing(file) as writer:
        writer.wait_for_more()
        for number in range(30):
            threading.Event().wait(chance.uniform(0, 0.1))
            told = writer.stop()
            cut = tmp_path / f"cut-{number}"
            cut.mkdir()
            # Not the index of the log: it is memory, and made anew.
            for name in ("lmft.db", "lmft.db-wal"):
                with contextlib.suppress(FileNotFoundError):
                    shutil.copy(tmp_path / name, cut)
            writer.process.send_signal(signal.SIGCONT)
            store = open_store(cut / "lmft.db")
            nothing_told_is_missing(store, told)
            # It is not only to be read.
            new_job(store)
            store.close()
            shutil.rmtree(cut)
        writer.end()
    assert len(writer.said) > 5


def test_a_log_that_is_torn_anywhere_gives_an_older_whole(tmp_path: Path) -> None:
    """A power cut may take the end of the log, or leave rubbish there."""
    file = tmp_path / "lmft.db"
    store = open_store(file)
    with store.reading() as connection:
        connection.exec_driver_sql("PRAGMA wal_autocheckpoint = 0")
    for _ in range(5):
        new_job(store)
    log = (tmp_path / "lmft.db-wal").read_bytes()
    whole = file.read_bytes()
    store.close()
    chance = random.Random(2)
    counts = []
    for number in range(25):
        cut = tmp_path / f"torn-{number}"
        cut.mkdir()
        end = chance.randrange(len(log))
        rubbish = chance.randbytes(chance.choice([0, 1, 4096, 10_000]))
        (cut / "lmft.db").write_bytes(whole)
        (cut / "lmft.db-wal").write_bytes(log[:end] + rubbish)
        torn = open_store(cut / "lmft.db")
        assert faults(torn) == []
        with torn.reading() as connection:
            counts.append((end, connection.scalar(select(func.count()).select_from(jobs))))
        torn.close()
    in_order = [count for _, count in sorted(counts)]
    assert in_order == sorted(in_order)
    assert in_order[-1] > in_order[0]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_writer_that_is_killed_leaves_what_it_told(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    place = request.getfixturevalue("postgres_url") if kind != "sqlite" else tmp_path / "lmft.db"
    told: dict[str, tuple[str, int]] = {}
    chance = random.Random(kind)
    for _ in range(5):
        with writing(place) as writer:
            writer.wait_for_more()
            threading.Event().wait(chance.uniform(0, 0.3))
            writer.kill()
        told |= writer.told()
        store = open_store(place)
        nothing_told_is_missing(store, told)
        # Nobody waits for a lock of the dead one.
        new_job(store)
        store.close()


def test_postgresql_after_a_power_cut(request: pytest.FixtureRequest) -> None:
    server = request.getfixturevalue("postgres_server")
    place = server.database()
    with writing(place) as writer:
        writer.wait_for_more(3)
        server.stop()
        writer.over()
        assert writer.process.returncode == 1
    told = writer.told()
    server.start()
    store = open_store(place)
    nothing_told_is_missing(store, told)
    store.close()


HOLDS = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
time.sleep(float(sys.argv[2])) if sys.argv[2] else sys.stdin.read()
connection.execute("ROLLBACK")
connection.close()
"""


@contextlib.contextmanager
def held(file: Path, seconds: str = "") -> Iterator[None]:
    """Another program writes to the file: for so long, or until the block ends."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(file), seconds],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield


def test_a_database_that_is_locked_for_three_seconds_is_waited_for(tmp_path: Path) -> None:
    store = open_store(tmp_path / "lmft.db")
    with held(tmp_path / "lmft.db", "3"):
        assert Keys(store).all() == []
        made, _ = Keys(store).create("app")
    assert Keys(store).all() == [made]
    store.close()


def test_one_that_stays_locked_is_an_error_and_nothing_is_half_written(tmp_path: Path) -> None:
    store = open_store(tmp_path / "lmft.db")
    with held(tmp_path / "lmft.db"):
        with pytest.raises(StoreError, match="try again"):
            new_job(store)
        assert faults(store) == []
    with store.reading() as connection:
        for table in ("files", "jobs", "events"):
            assert connection.scalar(text(f"SELECT count(*) FROM {table}")) == 0
    new_job(store)
    store.close()


def test_a_full_disk_is_said_and_costs_nothing_that_was_there(tmp_path: Path) -> None:
    with mounted(tmp_path / "small", "size=3m") as small:
        store = open_store(small / "lmft.db")
        ballast = small / "ballast"
        ballast.write_bytes(b"x" * 1_000_000)
        written = 0

        def fill() -> None:
            nonlocal written
            while True:
                new_job(store)
                written += 1

        with pytest.raises(DiskFullError, match="full") as caught:
            fill()
        assert "\n" not in str(caught.value)
        for _ in range(3):
            with pytest.raises(DiskFullError):
                fill()

        def count() -> int:
            with store.reading() as connection:
                return int(connection.scalar(select(func.count()).select_from(jobs)) or 0)

        assert count() == written
        assert faults(store) == []
        # A process that comes while it is full can read, and write once there is room.
        store.close()
        ballast.unlink()
        store = open_store(small / "lmft.db")
        new_job(store)
        assert count() == written + 1
        assert faults(store) == []
        store.close()


def test_a_backup_while_jobs_are_written_restores_whole(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with writing(home / "lmft.db") as writer:
        writer.wait_for_more()
        for number in range(3):
            told = writer.told()
            copy = tmp_path / f"{number}.db"
            done = run_lmft("db", "backup", str(copy), LMFT_HOME=str(home))
            assert done.returncode == 0, done.stderr
            restored = tmp_path / f"restored-{number}"
            restored.mkdir()
            copy.rename(restored / "lmft.db")
            store = open_store(restored / "lmft.db")
            nothing_told_is_missing(store, told)
            store.close()
            done = run_lmft("db", "check", LMFT_HOME=str(restored))
            assert done.returncode == 0, done.stdout + done.stderr
        writer.wait_for_more()
        writer.end()


def test_the_log_stays_small_while_somebody_always_reads(tmp_path: Path) -> None:
    store = open_store(tmp_path / "lmft.db")
    over = threading.Event()

    def read() -> None:
        while not over.is_set():
            with store.reading() as connection:
                connection.scalar(select(func.count()).select_from(events))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    written = 0
    while written < 30_000_000:
        with store.writing() as connection:
            connection.execute(
                text("INSERT INTO idempotency VALUES (1, :key, :body, 'x', 1)"),
                [{"key": f"{written}-{row}", "body": "x" * 400} for row in range(500)],
            )
        written += 200_000
    over.set()
    for reader in readers:
        reader.join()
    assert (tmp_path / "lmft.db-wal").stat().st_size < 17_000_000
    store.close()
    # The last one out leaves one file.
    assert [path.name for path in tmp_path.iterdir()] == ["lmft.db"]
    assert sqlite3.connect(tmp_path / "lmft.db").execute("PRAGMA quick_check").fetchone() == ("ok",)
