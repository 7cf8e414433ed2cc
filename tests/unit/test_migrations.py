"""Migrations: from nothing and from each older schema, on both databases, killed at any moment."""

from __future__ import annotations

import importlib
import pkgutil
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, inspect, text
from sqlalchemy.exc import IntegrityError

import lmft.store
from lmft.store.care import faults
from lmft.store.database import Store, open_store
from lmft.store.deployments import Deployments
from lmft.store.keys import Keys, Limits, fingerprint
from lmft.store.tables import metadata

# As the first release made it, triggers and all.
FIRST = (Path(__file__).parent / "schema_0001.sql").read_text()
ALIAS = "ft:embedded:me:tales"
ROWS = [
    "INSERT INTO keys (name, sha256, ending, requests_per_minute, created_at)"
    f" VALUES ('app', '{fingerprint('one')}', 'aaaa', 60, 100)",
    "INSERT INTO keys (name, sha256, ending, created_at, revoked_at)"
    f" VALUES ('old', '{fingerprint('two')}', 'bbbb', 101, 200)",
    "INSERT INTO keys (name, sha256, ending, created_at)"
    f" VALUES ('old', '{fingerprint('three')}', 'cccc', 201)",
    *(f"INSERT INTO key_scopes VALUES (1, '{scope}')" for scope in ("inference", "models:read")),
    "INSERT INTO key_scopes VALUES (2, 'pages')",
    "INSERT INTO key_scopes VALUES (3, 'metrics')",
    f"INSERT INTO key_models VALUES (1, '{ALIAS}')",
    *(
        "INSERT INTO deployments (alias, adapter, reason, state, wanted_at, changed_at)"
        f" VALUES ('{ALIAS}', '{ALIAS}:0000000{number}', 'published', '{state}', 1, 2)"
        for number, state in enumerate(("forgotten", "retired", "live", "wanted"))
    ),
]
_STEPS = Path(lmft.store.__file__).parent / "migrations"
REVISIONS = sorted(step.revision for step in ScriptDirectory(str(_STEPS)).walk_revisions())
for _module in pkgutil.iter_modules(lmft.store.__path__):
    if _module.name.endswith("_tables"):
        importlib.import_module(f"lmft.store.{_module.name}")


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Where a store can be opened; there is none yet."""
    if request.param == "sqlite":
        return tmp_path / "lmft.db"
    return request.getfixturevalue("postgres_url")


def engine(place: Path | str) -> Engine:
    if isinstance(place, Path):
        return create_engine(f"sqlite:///{place}")
    return create_engine(place.replace("postgresql:", "postgresql+psycopg:"))


def first_release(place: Path | str) -> None:
    """A database as the first release left it, in use."""
    if isinstance(place, Path):
        connection = sqlite3.connect(place)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(FIRST)
        for statement in ROWS:
            connection.execute(statement)
        connection.commit()
        connection.close()
        return
    made = engine(place)
    with made.begin() as connection:
        to_step(connection, "0001")
        for statement in ROWS:
            connection.execute(text(statement))
    made.dispose()


def to_step(connection: Connection, step: str) -> None:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_STEPS))
    command.upgrade(config, step)


def upgrade(place: Path | str, step: str) -> None:
    made = engine(place)
    with made.begin() as connection:
        to_step(connection, step)
    made.dispose()


def everything(store: Store) -> dict[str, list[tuple]]:
    with store.reading() as connection:
        return {
            table: [tuple(row) for row in connection.execute(text(f'SELECT * FROM "{table}"'))]
            for table in sorted(inspect(connection).get_table_names())
        }


def the_first_releases_rows_are_there(store: Store) -> None:
    app, revoked, again = Keys(store).all()
    assert (app.name, app.scopes, app.models) == ("app", {"inference", "models:read"}, {ALIAS})
    assert (app.sha256, app.ending, app.created_at) == (fingerprint("one"), "aaaa", 100)
    assert app.limits == Limits(requests_per_minute=60)
    assert (revoked.name, revoked.revoked_at, revoked.scopes) == ("old", 200, {"pages"})
    assert (again.name, again.revoked_at, again.scopes) == ("old", None, {"metrics"})
    assert {(key.project_id, key.project) for key in (app, revoked, again)} == {(1, "me")}
    deployments = Deployments(store)
    assert deployments.live() == {ALIAS: f"{ALIAS}:00000002"}
    assert deployments.before(ALIAS) == f"{ALIAS}:00000001"
    states = [row.state for row in deployments.history(ALIAS)]
    assert states == ["wanted", "live", "retired", "forgotten"]
    assert faults(store) == []


def the_rules_hold(store: Store) -> None:
    for statement in (
        "DELETE FROM keys",
        "UPDATE keys SET revoked_at = 300 WHERE name = 'old' AND revoked_at = 200",
        "UPDATE keys SET project = 2, revoked_at = 300 WHERE name = 'app'",
        "UPDATE keys SET active_jobs = 2, revoked_at = 300 WHERE name = 'app'",
        "DELETE FROM key_scopes",
        "UPDATE key_scopes SET scope = 'metrics' WHERE scope = 'pages'",
        "UPDATE key_models SET model = 'x'",
        "INSERT INTO key_scopes VALUES (1, 'root')",
        "INSERT INTO key_scopes VALUES (99, 'jobs')",
        "UPDATE deployments SET state = 'live' WHERE state = 'retired'",
        "UPDATE deployments SET adapter = 'x'",
        "DELETE FROM deployments",
        "DELETE FROM projects",
        "UPDATE projects SET name = 'x'",
    ):
        with pytest.raises(IntegrityError), store.writing() as connection:
            connection.execute(text(statement))
    keys = Keys(store)
    keys.create("jobs", ["jobs", "files", "stories"])
    keys.revoke("app")
    assert [key.name for key in keys.valid()] == ["old", "jobs"]


def test_from_nothing_to_the_tables_that_the_code_reads(place: Path | str) -> None:
    store = open_store(place)
    with store.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    store.close()


@pytest.mark.parametrize("last", REVISIONS[:-1])
def test_each_older_schema_with_rows_in_it_is_brought_up(place: Path | str, last: str) -> None:
    first_release(place)
    upgrade(place, last)
    store = open_store(place)
    with store.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    the_first_releases_rows_are_there(store)
    the_rules_hold(store)
    before = everything(store)
    store.close()
    again = open_store(place)
    assert everything(again) == before
    again.close()


def test_both_databases_get_the_same_tables_and_rules(tmp_path: Path, postgres_url: str) -> None:
    described = []
    for place, triggers in (
        (tmp_path / "lmft.db", "SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger'"),
        (
            postgres_url,
            "SELECT tgname, relname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid "
            "WHERE NOT tgisinternal",
        ),
    ):
        store = open_store(place)
        with store.reading() as connection:
            rules = {tuple(row) for row in connection.execute(text(triggers))}
            found = inspect(connection)
            tables = {
                table: (
                    [column["name"] for column in found.get_columns(table)],
                    {index["name"] for index in found.get_indexes(table)}
                    - {unique["name"] for unique in found.get_unique_constraints(table)},
                    len(found.get_check_constraints(table)),
                )
                for table in found.get_table_names()
            }
        described.append((tables, rules))
        store.close()
    assert described[0] == described[1]


OPENS = """
import sys
from pathlib import Path
from lmft.store.database import open_store
place = sys.argv[1]
print("go", flush=True)
open_store(place if "://" in place else Path(place)).close()
print("done", flush=True)
"""


def opening(place: Path | str) -> subprocess.Popen[str]:
    """A process that is about to migrate."""
    process = subprocess.Popen(
        [sys.executable, "-c", OPENS, str(place)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "go\n"
    return process


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_migration_that_is_killed_leaves_the_old_or_the_new(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    server = request.getfixturevalue("postgres_server") if kind == "postgresql" else None
    chance = random.Random(kind)
    seconds = 0.3
    left: list[str] = []
    for number in range(9):
        place = server.database() if server else tmp_path / f"{number}.db"
        first_release(place)
        process = opening(place)
        began = time.monotonic()
        # The first one may end, and says how long it takes.
        wait = None if number == 0 else chance.uniform(0, seconds)
        with process:
            try:
                process.wait(wait)
                seconds = time.monotonic() - began
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
        left.append(looked_at(place))
        store = open_store(place)
        the_first_releases_rows_are_there(store)
        the_rules_hold(store)
        store.close()
    assert set(left) <= {"0001", REVISIONS[-1]}
    assert "0001" in left


def looked_at(place: Path | str) -> str:
    """The step that it is at, all of which is there, and nothing of the next."""
    made = engine(place)
    with made.connect() as connection:
        step = str(connection.scalar(text("SELECT version_num FROM alembic_version")))
        tables = set(inspect(connection).get_table_names()) - {"alembic_version"}
        columns = {column["name"] for column in inspect(connection).get_columns("keys")}
        if isinstance(place, Path):
            assert connection.scalar(text("PRAGMA integrity_check")) == "ok"
    made.dispose()
    if step == "0001":
        assert tables == {"deployments", "key_models", "key_scopes", "keys"}
        assert "project" not in columns
    else:
        assert tables == set(metadata.tables)
    return step
