"""Which version a person means by an id, a key, a name and an alias."""

from __future__ import annotations

import shutil

import pytest
from rich.console import Console

from lmft.deploying import deploy, rollback
from lmft.errors import InputError, NotFoundError
from lmft.registry.show import list_shown
from lmft.store.chosen import chosen, live_versions
from lmft.store.database import open_store, store_file
from lmft.store.deployments import Deployments
from tests.unit.test_registry import home, publish

__all__ = ["home"]


def make_live(adapter_id: str, alias: str) -> None:
    deployments = Deployments(open_store())
    deployments.went_live(deployments.want(alias, adapter_id, "test"))


def test_a_name_means_the_live_version_and_a_key_its_own() -> None:
    first, second = publish("tale"), publish("tale")
    alias = first.id.alias
    assert {chosen(text).id for text in ("tale", alias)} == {second.id}
    make_live(str(first.id), alias)
    assert {chosen(text).id for text in ("tale", alias, first.id.key)} == {first.id}
    assert chosen(second.id.key).id == chosen(str(second.id)).id == second.id


def test_a_live_version_that_was_removed_by_hand_gives_way_to_the_newest() -> None:
    first, second = publish("tale"), publish("tale")
    make_live(str(first.id), first.id.alias)
    shutil.rmtree(first.path)
    assert chosen("tale").id == chosen(first.id.alias).id == second.id


def test_an_alias_never_means_a_checkpoint() -> None:
    final = publish("tale")
    kept = publish(adapter_id=final.id.checkpoint(40))
    assert {chosen(text).id for text in ("tale", final.id.alias)} == {final.id}
    assert chosen(str(kept.id)).id == kept.id
    for command in (deploy, rollback):
        with pytest.raises(InputError, match="is a checkpoint"):
            command(str(kept.id), Console(quiet=True))
    shutil.rmtree(final.path)
    with pytest.raises(NotFoundError):
        chosen(final.id.alias)


def test_to_look_makes_no_database() -> None:
    publish("tale")
    assert chosen("tale").id.suffix == "tale"
    assert live_versions() == {}
    assert not store_file().exists()


@pytest.mark.parametrize("text", ["nobody", "ft:embedded:me:nobody", "ft:x"])
def test_nobody_is_nobody(text: str) -> None:
    publish("tale")
    with pytest.raises(NotFoundError, match="No adapter"):
        chosen(text)


def test_the_list_says_which_version_is_live(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = publish("tale"), publish("tale")
    make_live(str(first.id), first.id.alias)
    list_shown(live_versions().values(), Console(width=120))
    lines = capsys.readouterr().out.splitlines()
    assert [line.rstrip().endswith(" live") for line in lines] == [True, False, True]
    assert str(first.id) in lines[2]
    assert str(second.id) in lines[1]
