"""The store: opened by several at once, refused when newer; its rules are in the database."""

from __future__ import annotations

import multiprocessing
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from lmft.errors import InputError, MachineError, NotFoundError, StoreError
from lmft.store.database import Store, open_store
from lmft.store.deployments import Deployments
from lmft.store.keys import DEFAULT_SCOPES, Keys, Limits, fingerprint

ALIAS = "ft:embedded:me:tales"
FIRST, SECOND, THIRD = (f"{ALIAS}:0000000{number}" for number in (1, 2, 3))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "home" / "lmft.db"


@pytest.fixture
def store(either_store: Store) -> Store:
    """What a store promises, it promises on both databases."""
    return either_store


@pytest.fixture
def keys(store: Store) -> Keys:
    return Keys(store)


@pytest.fixture
def deployments(store: Store) -> Deployments:
    return Deployments(store)


def rows(file: Path, query: str) -> list[tuple]:
    connection = sqlite3.connect(file)
    try:
        with connection:
            return connection.execute(query).fetchall()
    finally:
        connection.close()


# Opening


def test_only_the_owner_can_read_it(file: Path) -> None:
    store = open_store(file)
    Keys(store).create("a")
    made = sorted(path for path in file.parent.iterdir())
    assert file in made
    assert {stat.S_IMODE(path.stat().st_mode) for path in made} == {0o600}
    store.close()


def open_and_write(file: Path, name: str) -> None:
    opened = open_store(file)
    for number in range(5):
        Keys(opened).create(f"{name}-{number}")
    opened.close()


def test_processes_that_open_it_at_once_all_find_it_whole(file: Path) -> None:
    processes = [
        multiprocessing.get_context("spawn").Process(target=open_and_write, args=(file, f"p{n}"))
        for n in range(3)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 3
    opened = open_store(file)
    assert len(Keys(opened).valid()) == 15
    opened.close()


def test_one_of_a_newer_lmft_is_refused_in_one_line_and_left_alone(file: Path) -> None:
    open_store(file).close()
    rows(file, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreError, match=r"newer lmft \(step 9999\)") as caught:
        open_store(file)
    assert "\n" not in str(caught.value)
    assert rows(file, "SELECT version_num FROM alembic_version") == [("9999",)]


def test_a_step_that_fails_leaves_nothing_of_itself(file: Path) -> None:
    file.parent.mkdir()
    rows(file, "CREATE TABLE deployments (anything)")
    with pytest.raises(StoreError):
        open_store(file)
    tables = rows(file, "SELECT name FROM sqlite_master WHERE type = 'table'")
    assert tables == [("deployments",)]


def test_what_is_no_database_is_refused_in_one_line(file: Path) -> None:
    file.parent.mkdir()
    file.write_bytes(b"not a database, but long enough to look at" * 50)
    with pytest.raises(StoreError, match="not a database") as caught:
        open_store(file)
    assert "\n" not in str(caught.value)


def test_a_home_that_cannot_be_made_is_the_machines_error(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with pytest.raises(MachineError):
        open_store(tmp_path / "home" / "lmft.db")


def test_a_reader_sees_no_half_of_a_write_and_does_not_wait(keys: Keys, store: Store) -> None:
    keys.create("before")
    with store.writing() as connection:
        connection.exec_driver_sql(
            "INSERT INTO keys (name, sha256, ending, created_at, project) "
            "VALUES ('x', '%s', 'x', 1, 1)" % ("0" * 64)
        )
        assert [key.name for key in keys.all()] == ["before"]


def test_help_loads_no_database() -> None:
    code = (
        "import sys\nfrom lmft.cli import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit:\n    pass\n"
        "assert not {'sqlalchemy', 'alembic'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


# Keys


def test_a_key_is_kept_as_its_hash_only(file: Path) -> None:
    store = open_store(file)
    key, secret = Keys(store).create("app")
    assert secret.startswith("lmft-")
    assert len(secret) >= 48
    assert key.sha256 == fingerprint(secret)
    assert key.ending == secret[-4:]
    store.close()
    for written in file.parent.iterdir():
        assert secret.encode() not in written.read_bytes()
        assert secret.removeprefix("lmft-").encode() not in written.read_bytes()


def test_what_a_key_may_do_is_read_back(keys: Keys) -> None:
    limits = Limits(requests_per_minute=60, tokens_per_minute=9000, concurrent=2)
    made, _ = keys.create("app", ["models:read", "inference"], [ALIAS, FIRST], limits)
    assert keys.all() == keys.valid() == [made]
    assert made.scopes == {"inference", "models:read"}
    assert made.models == {ALIAS, FIRST}
    assert made.limits == limits
    plain, _ = keys.create("plain")
    assert (plain.scopes, plain.models, plain.limits) == (set(DEFAULT_SCOPES), set(), Limits())


def test_a_revoked_key_stays_in_the_list_and_frees_its_name(keys: Keys) -> None:
    keys.create("app")
    gone = keys.revoke("app")
    assert gone.revoked_at is not None
    assert keys.valid() == []
    assert keys.all() == [gone]
    again, _ = keys.create("app")
    assert keys.valid() == [again]
    with pytest.raises(NotFoundError):
        keys.revoke("other")


def test_a_name_is_taken_as_long_as_its_key_is_valid(keys: Keys) -> None:
    keys.create("app")
    with pytest.raises(InputError, match="app already"):
        keys.create("app")
    assert len(keys.all()) == 1


@pytest.mark.parametrize("name", ["", " ", "-a", "a b", "a\n", "x" * 65, "é", "a/b", "a'--"])
def test_a_name_is_one_plain_word(keys: Keys, name: str) -> None:
    with pytest.raises(InputError):
        keys.create(name)


@pytest.mark.parametrize(
    "fields",
    [
        {"scopes": ["root"]},
        {"scopes": []},
        {"models": ["../etc"]},
        {"models": [""]},
        {"models": [ALIAS], "scopes": ["inference", "metrics"]},
        {"limits": Limits(concurrent=0)},
        {"limits": Limits(tokens_per_minute=-1)},
        {"limits": Limits(requests_per_minute=2**31)},
    ],
    ids=str,
)
def test_what_a_key_cannot_be_limited_to_is_refused(keys: Keys, fields: dict) -> None:
    with pytest.raises(InputError):
        keys.create("app", **fields)
    assert keys.mark() == (0, 0)


def test_the_mark_changes_with_every_key_made_or_revoked(keys: Keys) -> None:
    marks = [keys.mark()]
    for change in (lambda: keys.create("a"), lambda: keys.create("b"), lambda: keys.revoke("a")):
        change()
        marks.append(keys.mark())
    assert marks[0] == (0, 0)
    assert len(set(marks)) == 4


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE keys SET revoked_at = NULL",
        "UPDATE keys SET sha256 = '%s', revoked_at = 1" % ("0" * 64),
        "UPDATE keys SET concurrent = 9, revoked_at = 1",
        "DELETE FROM keys",
        "UPDATE key_scopes SET scope = 'metrics'",
        "DELETE FROM key_models",
        "INSERT INTO key_scopes VALUES (1, 'root')",
        "INSERT INTO keys (name, sha256, ending, created_at) VALUES ('a', 'short', 'x', 1)",
    ],
)
def test_the_database_lets_a_key_only_be_revoked(keys: Keys, store: Store, change: str) -> None:
    keys.create("app", models=[ALIAS])
    keys.revoke("app")
    before = keys.all()
    with pytest.raises(IntegrityError), store.writing() as connection:
        connection.execute(text(change))
    assert keys.all() == before


def test_a_scope_belongs_to_a_key(store: Store) -> None:
    with pytest.raises(IntegrityError, match=r"(?i)foreign key"), store.writing() as connection:
        connection.exec_driver_sql("INSERT INTO key_scopes VALUES (99, 'metrics')")


# Deployments


def go_live(deployments: Deployments, adapter: str) -> None:
    deployments.went_live(deployments.want(ALIAS, adapter, "published"))


def test_an_alias_names_what_went_live_last(deployments: Deployments) -> None:
    assert deployments.live() == {}
    go_live(deployments, FIRST)
    wish = deployments.want(ALIAS, SECOND, "published")
    assert deployments.live() == {ALIAS: FIRST}
    assert [(open_.id, open_.adapter_id) for open_ in deployments.wanted()] == [(wish, SECOND)]
    deployments.went_live(wish)
    assert deployments.live() == {ALIAS: SECOND}
    assert deployments.wanted() == []
    states = [(row.adapter_id, row.state) for row in deployments.history(ALIAS)]
    assert states == [(SECOND, "live"), (FIRST, "retired")]


def test_a_wish_that_failed_leaves_the_alias_as_it_was(deployments: Deployments) -> None:
    go_live(deployments, FIRST)
    wish = deployments.want(ALIAS, SECOND, "published")
    deployments.failed(wish, "the probe said 0.7")
    deployments.failed(wish, "again")
    assert deployments.live() == {ALIAS: FIRST}
    assert deployments.wanted() == []
    assert deployments.before(ALIAS) is None
    assert deployments.history(ALIAS)[0].detail == "the probe said 0.7"


def test_a_newer_wish_takes_the_place_of_an_open_one(deployments: Deployments) -> None:
    older = deployments.want(ALIAS, FIRST, "published")
    newer = deployments.want(ALIAS, SECOND, "deployed")
    other = deployments.want("ft:embedded:me:other", THIRD, "published")
    assert [wish.id for wish in deployments.wanted()] == [newer, other]
    # It was being loaded while the newer one came.
    deployments.went_live(older)
    assert deployments.live() == {ALIAS: FIRST}
    deployments.went_live(newer)
    deployments.went_live(newer)
    assert deployments.live() == {ALIAS: SECOND}


def test_before_is_where_a_rollback_goes_and_back(deployments: Deployments) -> None:
    for adapter in (FIRST, SECOND, THIRD):
        go_live(deployments, adapter)
    assert deployments.before(ALIAS) == SECOND
    go_live(deployments, SECOND)
    assert deployments.before(ALIAS) == THIRD
    assert deployments.before("ft:embedded:me:unknown") is None


def test_a_removed_adapter_is_live_wanted_and_returned_to_nowhere(
    deployments: Deployments,
) -> None:
    for adapter in (FIRST, SECOND, THIRD):
        go_live(deployments, adapter)
    open_ = deployments.want("ft:embedded:me:other", SECOND, "deployed")
    deployments.forget(SECOND)
    assert deployments.before(ALIAS) == FIRST
    assert deployments.wanted() == []
    with pytest.raises(NotFoundError):
        deployments.went_live(open_)
    deployments.forget(THIRD)
    assert deployments.live() == {}
    assert len(deployments.history(ALIAS)) == 3


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM deployments",
        "UPDATE deployments SET adapter = 'other'",
        "UPDATE deployments SET state = 'live' WHERE state = 'retired'",
        "UPDATE deployments SET state = 'wanted'",
        "INSERT INTO deployments (alias, adapter, reason, state, wanted_at, changed_at) "
        f"VALUES ('{ALIAS}', 'x', 'x', 'live', 1, 1)",
    ],
)
def test_the_database_keeps_the_history(
    deployments: Deployments, store: Store, change: str
) -> None:
    go_live(deployments, FIRST)
    go_live(deployments, SECOND)
    before = deployments.history(ALIAS)
    with pytest.raises(IntegrityError), store.writing() as connection:
        connection.execute(text(change))
    assert deployments.history(ALIAS) == before
