"""A real PostgreSQL for the tests: one server a session on a socket of its own, one database a
test. Skipped aloud where there is none; scripts/setup.sh dev installs it."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lmft.store.database import Store, open_store

PASSWORD = "correct horse"
# Slow shared cores: a hang fails, slowness does not.
_SECONDS = 120
_USER = "postgres"


@dataclass
class Server:
    """Attributes:
    sockets: the directory of its socket; it listens nowhere else.
    """

    binaries: Path
    sockets: Path
    process: subprocess.Popen[bytes] | None = None
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def start(self) -> None:
        log = self.sockets.parent / "log"
        with log.open("ab") as into:
            self.process = subprocess.Popen(
                [
                    *(*_as_user(), str(self.binaries / "postgres")),
                    *("-D", str(self.sockets / "data"), "-k", str(self.sockets)),
                    *("-c", "listen_addresses=", "-c", "fsync=off"),
                ],
                stdout=subprocess.DEVNULL,
                stderr=into,
            )
        deadline = time.monotonic() + _SECONDS
        while self.ask("SELECT 1").returncode:
            assert self.process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)

    def stop(self) -> None:
        """At once, as a power cut would."""
        assert self.process is not None
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(timeout=_SECONDS)

    def database(self, template: str = "template0") -> str:
        """The URL of a new database: empty, or a copy of `template`."""
        name = f"lmft{next(self._numbers)}"
        made = self.ask(f"CREATE DATABASE {name} OWNER lmft ENCODING 'UTF8' TEMPLATE {template}")
        assert made.returncode == 0, made.stderr
        return f"postgresql://lmft:{PASSWORD.replace(' ', '%20')}@/{name}?host={self.sockets}"

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """One of PostgreSQL's own commands, such as pg_dump."""
        return subprocess.run(
            [str(self.binaries / program), *arguments], capture_output=True, text=True
        )

    def ask(self, statement: str) -> subprocess.CompletedProcess[str]:
        """As the one who may do anything."""
        where = ("-h", str(self.sockets), "-U", "postgres", "-d", "postgres")
        return self.run("psql", *where, "-qAt", "-c", statement)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    binaries = _binaries()
    if binaries is None:
        pytest.skip(
            "no PostgreSQL here: THE STORE ON POSTGRESQL IS NOT TESTED. apt-get install postgresql"
        )
    pytest.importorskip("psycopg", reason="NOT TESTED: pip install 'lmft[postgres]'")
    # Not under the tests' own directory: a socket's path is short, and its owner is another user.
    directory = Path(tempfile.mkdtemp(prefix="lmft-pg-", dir="/tmp"))
    directory.chmod(0o755)
    sockets = directory / "s"
    sockets.mkdir(mode=0o700)
    server = Server(binaries, sockets)
    try:
        if os.geteuid() == 0:
            shutil.chown(sockets, _USER, _USER)
        made = subprocess.run(
            [
                *(*_as_user(), str(binaries / "initdb"), "-D", str(sockets / "data")),
                *("-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"),
            ],
            capture_output=True,
            text=True,
            cwd="/",
        )
        assert made.returncode == 0, made.stdout + made.stderr
        server.start()
        done = server.ask("CREATE ROLE lmft LOGIN")
        assert done.returncode == 0, done.stderr
        yield server
    finally:
        if server.process is not None and server.process.poll() is None:
            server.stop()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres_server: Server) -> str:
    """Of an empty database of this test's own."""
    return postgres_server.database()


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("migrated") / "lmft.db"
    open_store(file).close()
    return file


@pytest.fixture(scope="session")
def migrated_database(postgres_server: Server) -> str:
    """The name of one, to be copied."""
    url = postgres_server.database()
    open_store(url).close()
    return url.partition("?")[0].rpartition("/")[2]


@pytest.fixture(params=["sqlite", "postgresql"])
def either_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A store without rows, on one database and then on the other."""
    place: Path | str = tmp_path / "lmft.db"
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("migrated_file"), place)
    else:
        server: Server = request.getfixturevalue("postgres_server")
        place = server.database(request.getfixturevalue("migrated_database"))
    opened = open_store(place)
    yield opened
    opened.close()


def _binaries() -> Path | None:
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    kept = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(kept, key=lambda path: int(path.parent.name), default=None)


def _as_user() -> list[str]:
    """PostgreSQL refuses to run as root: its package has made a user for it."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", f"--reuid={_USER}", f"--regid={_USER}", "--clear-groups", "--"]
