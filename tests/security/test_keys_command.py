"""`lmft keys` as a person types it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lmft.cli import main
from lmft.store.database import open_store
from lmft.store.keys import Keys, Limits, fingerprint
from tests.conftest import run_lmft


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def lmft(home: Path, *arguments: str) -> str:
    """What the real command says; it must not fail."""
    done = run_lmft("keys", *arguments, LMFT_HOME=str(home), COLUMNS="200")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_key_is_made_shown_once_listed_and_revoked(home: Path) -> None:
    limits = ("--requests-per-minute", "60", "--tokens-per-minute", "9000", "--concurrent", "4")
    said = lmft(home, "create", "shop", "--scope", "inference", "--model", "embedded", *limits)
    secret = said.splitlines()[-1]
    store = open_store(home / "lmft.db")
    (key,) = Keys(store).valid()
    store.close()
    assert key.sha256 == fingerprint(secret)
    assert (key.scopes, key.models) == ({"inference"}, {"embedded"})
    assert key.limits == Limits(60, 9000, 4)
    listed = lmft(home, "list")
    for part in ("key-1", "shop", f"lmft-...{secret[-4:]}", "embedded", "60 requests/min", "valid"):
        assert part in listed
    assert secret not in listed
    assert "within a second" in lmft(home, "revoke", "shop")
    assert "revoked" in lmft(home, "list")


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("create shop", "shop already"),
        ("create a --scope root", "no scope 'root'"),
        ("create a --model nosuch", "no model nosuch"),
        ("create a --scope metrics --model embedded", "cannot have the scope metrics"),
        ("create a/b", "'a/b' cannot be a key's name"),
        ("create a --project nosuch", "no project 'nosuch'"),
        ("revoke nosuch", "No valid key is named nosuch"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    says: str,
) -> None:
    monkeypatch.setenv("LMFT_HOME", str(home))
    store = open_store()
    Keys(store).create("shop")
    monkeypatch.setattr(sys, "argv", ["lmft", "keys", *command.split()])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Error: ")
    assert says in line
    assert [key.name for key in Keys(store).all()] == ["shop"]
    store.close()


def test_a_project_is_made_limited_and_given_a_key(home: Path) -> None:
    def projects(*arguments: str) -> str:
        done = run_lmft("projects", *arguments, LMFT_HOME=str(home), COLUMNS="200")
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    limits = ("--disk-gib", "1.5", "--active-jobs", "2", "--training-tokens-per-day", "1000000")
    made = projects("create", "shop", *limits)
    assert "1.5 GiB of files, 2 active jobs, 1,000,000 training tokens in 24 hours" in made
    said = projects("set", "shop", "--active-jobs", "0")
    assert "1.5 GiB of files, 1,000,000 training tokens in 24 hours" in said
    listed = projects("list").splitlines()
    assert [line.split()[0] for line in listed] == ["name", "me", "shop"]
    assert "0.000 of 1.5 GiB" in listed[2]
    lmft(home, "create", "till", "--project", "shop", "--active-jobs", "1", "--jobs-per-day", "9")
    store = open_store(home / "lmft.db")
    (key,) = Keys(store).valid()
    store.close()
    assert (key.project, key.limits) == ("shop", Limits(active_jobs=1, jobs_per_day=9))
    (row,) = (line for line in lmft(home, "list").splitlines() if "till" in line)
    assert row.split()[2] == "shop"
