"""What may follow which state of a job; the table in code and the trigger in the database agree."""

from __future__ import annotations

import importlib
import itertools
from typing import get_args

import pytest

from lmft.jobs.states import ENDED, GOES_TO, STATUSES, StateConflictError, Verb, Wish, asked
from lmft.store import job_tables

VERBS: tuple[Verb, ...] = get_args(Verb)
WISHES: tuple[Wish, ...] = get_args(Wish)
EVERYTHING = list(itertools.product(VERBS, STATUSES, WISHES, (False, True)))


def outcome(verb, status, wish, validated):
    try:
        return asked(verb, status, wish, validated=validated)
    except StateConflictError:
        return None


def test_the_tables_of_code_and_database_name_the_same_states():
    step = importlib.import_module("lmft.store.migrations.versions.v0002_projects_files_jobs")
    in_database = {status: frozenset(after.split()) for status, after in step._GOES_TO.items()}
    assert in_database == {status: after for status, after in GOES_TO.items() if after}
    assert job_tables.STATUSES == STATUSES
    assert set(job_tables.ENDED) == ENDED
    assert job_tables.WISHES == WISHES


@pytest.mark.parametrize("status", sorted(ENDED))
def test_what_has_ended_stays_so(status):
    assert not GOES_TO[status]
    assert all(outcome(verb, status, "", True) is None for verb in VERBS)


@pytest.mark.parametrize(("verb", "status", "wish", "validated"), EVERYTHING)
def test_asking_leads_only_where_the_table_does(verb, status, wish, validated):
    found = outcome(verb, status, wish, validated)
    if found is not None:
        assert found[0] == status or found[0] in GOES_TO[status]
        assert found[0] != "running" or status == "running"


@pytest.mark.parametrize(
    ("verb", "status", "validated"), sorted({(v, s, d) for v, s, _, d in EVERYTHING})
)
def test_a_cancel_is_never_taken_back(verb, status, validated):
    found = outcome(verb, status, "cancel", validated)
    assert found is None or found[1] == "cancel" or found[0] == "cancelled"


@pytest.mark.parametrize(("verb", "status", "wish", "validated"), EVERYTHING)
def test_asking_twice_is_asking_once(verb, status, wish, validated):
    once = outcome(verb, status, wish, validated)
    if once is not None and verb == "pause":
        assert outcome(verb, *once, validated) == once


def test_what_runs_is_only_wished_for():
    assert asked("cancel", "running", "", validated=True) == ("running", "cancel")
    assert asked("pause", "running", "", validated=True) == ("running", "pause")
    assert asked("resume", "running", "pause", validated=True) == ("running", "")


def test_what_waits_changes_at_once():
    assert asked("cancel", "queued", "", validated=True) == ("cancelled", "")
    assert asked("pause", "queued", "", validated=True) == ("paused", "")
    assert asked("cancel", "paused", "", validated=True) == ("cancelled", "")


def test_a_paused_job_goes_on_where_it_was():
    assert asked("resume", "paused", "", validated=True) == ("queued", "")
    assert asked("resume", "paused", "", validated=False) == ("validating_files", "")


def test_a_pause_while_files_are_looked_at_waits_for_that():
    assert asked("pause", "validating_files", "", validated=False) == ("validating_files", "pause")


@pytest.mark.parametrize("status", ["validating_files", "queued", "running"])
def test_only_what_is_paused_resumes(status):
    with pytest.raises(StateConflictError, match="not paused"):
        asked("resume", status, "", validated=True)
