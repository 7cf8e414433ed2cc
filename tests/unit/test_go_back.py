"""A version that is taken away: its alias goes back to the one before, however often asked."""

from __future__ import annotations

import pytest

from lmft.store.database import open_store
from lmft.store.deployments import Deployments

ALIAS = "ft:embedded:me:tales"
FIRST, SECOND = f"{ALIAS}:00000001", f"{ALIAS}:00000002"


@pytest.fixture
def deployments(tmp_path):
    store = open_store(tmp_path / "lmft.db")
    made = Deployments(store)
    made.went_live(made.want(ALIAS, FIRST, "published"))
    yield made
    store.close()


def test_the_version_before_is_live_again(deployments):
    deployments.went_live(deployments.want(ALIAS, SECOND, "published"))
    for _ in range(2):
        deployments.go_back(ALIAS, SECOND, "taken away", (FIRST,))
        assert deployments.live() == {ALIAS: FIRST}
    assert deployments.history(ALIAS)[0].reason == "taken away"


def test_one_that_was_never_live_changes_nothing_for_others(deployments):
    wish = deployments.want(ALIAS, SECOND, "published")
    deployments.go_back(ALIAS, SECOND, "taken away", (FIRST,))
    assert deployments.live() == {ALIAS: FIRST}
    assert wish not in {one.id for one in deployments.wanted()}


def test_the_only_version_leaves_nothing_behind(deployments):
    deployments.go_back(ALIAS, FIRST, "taken away", ())
    assert deployments.live() == {}
