"""What aliases shall mean once a server starts, over versions that came while none ran."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from lmft.ids import AdapterId
from lmft.registry.adapters import MANIFEST, get_adapter
from lmft.store.database import Store
from lmft.store.deployments import Deployments
from serving.pool.catalog import Catalog
from serving.pool.wishes import Wishes
from tests.unit.test_registry import publish as published

ALIAS = "ft:embedded:me:tale"
NOW = datetime.now(UTC)


def publish(key: str, hours: float = 0) -> str:
    """A version. Args: hours: that the clock of its training ran ahead."""
    adapter = published(adapter_id=AdapterId("embedded", "me", "tale", key * 8))
    manifest = json.loads((adapter.path / MANIFEST).read_text())
    created_at = (NOW + timedelta(hours=hours)).isoformat()
    (adapter.path / MANIFEST).write_text(json.dumps(manifest | {"created_at": created_at}))
    return str(get_adapter(str(adapter.id)).id)


def start(store: Store) -> Deployments:
    """What a server does with the folder and the store when it starts."""
    catalog, deployments = Catalog(), Deployments(store)
    catalog.refresh()
    Wishes(catalog, deployments).adopt()
    return deployments


def wanted(deployments: Deployments) -> list[str]:
    return [wish.adapter_id for wish in deployments.wanted()]


def fulfil(deployments: Deployments) -> None:
    for wish in deployments.wanted():
        deployments.went_live(wish.id)


def test_a_version_that_comes_after_one_from_the_future_goes_live(store: Store) -> None:
    ahead = publish("a", hours=24)
    assert start(store).live() == {ALIAS: ahead}
    after = publish("b")
    deployments = start(store)
    assert wanted(deployments) == [after]
    fulfil(deployments)
    for _ in range(2):
        assert not wanted(start(store))
    assert deployments.live() == {ALIAS: after}


def test_versions_that_were_there_before_a_newer_one_never_go_live_later(store: Store) -> None:
    publish("a", hours=-3)
    second = publish("b", hours=-2)
    assert start(store).live() == {ALIAS: second}
    publish("c", hours=-1)
    fourth = publish("d")
    deployments = start(store)
    assert wanted(deployments) == [fourth]
    fulfil(deployments)
    assert not wanted(start(store))
    assert deployments.live() == {ALIAS: fourth}
    assert deployments.before(ALIAS) == second


def test_what_an_older_server_has_passed_over_stays_so(store: Store) -> None:
    """It gave a row to the newest only."""
    publish("a", hours=-3)
    second, deployments = publish("b", hours=-2), Deployments(store)
    deployments.went_live(deployments.want(ALIAS, second, "found at the start"))
    assert not wanted(start(store))
    third = publish("c", hours=1)
    assert wanted(start(store)) == [third]


def test_a_wish_by_hand_outlives_what_came_before_it(store: Store) -> None:
    first = publish("a", hours=-3)
    assert start(store).live() == {ALIAS: first}
    publish("b", hours=-1)
    deployments = Deployments(store)
    deployments.want(ALIAS, first, "rolled back")
    assert wanted(start(store)) == [first]


def test_a_server_that_was_killed_as_it_began_is_gone_on_from(store: Store) -> None:
    first, second = publish("a", hours=-3), publish("b", hours=-2)
    Deployments(store).want(ALIAS, first, "found when the server started")
    assert wanted(start(store)) == [second]
