"""What aliases mean, over what goes wrong meanwhile: wishes that wait, fail, give way, and come
back; with a folder and a store as they are, and stand-ins for engines where one is needed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from lmft import paths
from lmft.bases import EXTRAS_FILE
from lmft.errors import (
    AdapterCorruptError,
    DiskFullError,
    EngineError,
    NotFoundError,
    ProbeFailedError,
)
from lmft.ids import parse_adapter_id
from lmft.registry.adapters import MANIFEST, Adapter, get_adapter
from lmft.store.database import open_store
from lmft.store.deployments import Deployment, Deployments
from serving.pool import catalog as catalog_module
from serving.pool import deploy, proving
from serving.pool.catalog import Catalog
from serving.pool.deploy import Aliases
from serving.pool.merging import merged_path, require_merged
from serving.pool.wishes import Wishes
from tests.integration.test_pool_engines import (
    FIRST,
    LONG,
    ask,
    home,
    listed,
    pooled,
    publish,
    until,
)

__all__ = ["home"]
BringUp = Callable[[str, bool], Awaitable[None]]


def alias_of(version: str) -> str:
    parsed = parse_adapter_id(version)
    assert parsed is not None
    return parsed.alias


@contextlib.asynccontextmanager
async def reconciled(bring_up: BringUp) -> AsyncIterator[Aliases]:
    """Aliases over this folder and store, reconciled all the time; an adapter is its id here."""
    catalog = Catalog()

    async def proven(adapter: Adapter, by_hand: bool) -> None:
        await bring_up(str(adapter.id), by_hand)

    aliases = Aliases(catalog, Deployments(open_store()), proven, lambda _: None)
    catalog.refresh()
    await aliases.open()

    async def go_on() -> None:
        while True:
            await aliases.reconcile()
            await asyncio.sleep(0.02)

    task = asyncio.create_task(go_on())
    try:
        yield aliases
    finally:
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await aliases.close()


async def at_once(_: str, __: bool) -> None:
    """Every version passes its proof."""


def state_of(version: str) -> str:
    history = Deployments(open_store()).history(alias_of(version))
    return next((entry.state for entry in history if entry.adapter_id == version), "")


def test_a_wish_that_waits_gives_way_to_a_newer_one() -> None:
    first = publish("tale")
    begun: list[str] = []

    async def bring_up(version: str, _: bool) -> None:
        begun.append(version)
        if version != first:
            await asyncio.Event().wait()

    async def scenario() -> None:
        async with reconciled(bring_up) as aliases:
            second = publish("tale")
            await until(lambda: begun == [second])
            # As `lmft models rollback` writes it, to what is live still.
            number = Deployments(open_store()).want(alias_of(first), first, "rolled back")
            await until(lambda: Deployments(open_store()).history(alias_of(first))[0].id == number)
            await until(lambda: state_of(first) == "live")
            assert begun == [second, first]
            assert state_of(second) == "superseded"
            assert aliases.live == {alias_of(first): first}

    asyncio.run(scenario())


def test_an_engine_that_fails_is_no_refusal_and_the_version_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deploy, "_TRY_AGAIN_SECONDS", (0.01, 0.01))
    first = publish("tale")
    errors = [EngineError("lost"), DiskFullError("full")]

    async def bring_up(_: str, __: bool) -> None:
        if errors:
            raise errors.pop()

    async def scenario() -> None:
        async with reconciled(bring_up) as aliases:
            second = publish("tale")
            await until(lambda: aliases.live[alias_of(first)] == second)
            await until(lambda: state_of(second) == "live")
            assert not errors

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("error", "tries"), [(EngineError("lost"), 3), (RuntimeError("a mistake of ours"), 1)]
)
def test_what_fails_again_and_again_is_given_up_and_the_alias_stays(
    monkeypatch: pytest.MonkeyPatch, error: Exception, tries: int
) -> None:
    monkeypatch.setattr(deploy, "_TRY_AGAIN_SECONDS", (0.01, 0.01))
    first = publish("tale")
    tried: list[str] = []

    async def bring_up(version: str, _: bool) -> None:
        tried.append(version)
        raise error

    async def scenario() -> None:
        async with reconciled(bring_up) as aliases:
            second = publish("tale")
            await until(lambda: state_of(second) == "failed")
            await asyncio.sleep(0.2)
            assert tried == [second] * tries
            assert aliases.live == {alias_of(first): first}

    asyncio.run(scenario())


@pytest.mark.parametrize(("error", "end"), [(None, "live"), (RuntimeError("ours"), "failed")])
def test_a_wish_that_was_read_a_moment_before_its_end_is_not_begun_again(
    monkeypatch: pytest.MonkeyPatch, error: Exception | None, end: str
) -> None:
    read, tried = Wishes.read, list[str]()

    def read_slowly(wishes: Wishes) -> tuple[dict[str, Deployment], dict[str, str]]:
        found = read(wishes)
        time.sleep(0.1)
        return found

    async def bring_up(version: str, _: bool) -> None:
        tried.append(version)
        # It ends while the next reading is under way.
        await asyncio.sleep(0.06)
        if error is not None:
            raise error

    async def scenario() -> None:
        publish("tale")
        async with reconciled(bring_up):
            monkeypatch.setattr(Wishes, "read", read_slowly)
            second = publish("tale")
            await until(lambda: state_of(second) == end)
            await asyncio.sleep(0.3)
            assert tried == [second]

    asyncio.run(scenario())


def test_a_folder_that_cannot_be_read_for_a_moment_ends_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = publish("tale")

    async def scenario() -> None:
        async with reconciled(at_once) as aliases:
            with monkeypatch.context() as broken:
                broken.setattr(Catalog, "refresh", lambda _: os.stat("/no/such/place"))
                await asyncio.sleep(0.1)
            second = publish("tale")
            await until(lambda: aliases.live[alias_of(first)] == second)

    asyncio.run(scenario())


def test_deleting_one_version_does_not_break_off_another(home: Path) -> None:
    first, second = publish("tale"), publish("tale")
    alias = alias_of(first)
    go = asyncio.Event()
    begun: list[str] = []

    async def bring_up(version: str, _: bool) -> None:
        begun.append(version)
        if version not in (first, second):
            await go.wait()

    async def scenario() -> None:
        async with reconciled(bring_up) as aliases:
            await until(lambda: aliases.live == {alias: second})
            deployments = Deployments(open_store())
            deployments.want(alias, first, "by hand")
            deployments.want(alias, second, "by hand")
            await until(lambda: aliases.live == {alias: second} and not deployments.wanted())
            third = publish("tale")
            await until(lambda: third in begun)
            await aliases.forget(get_adapter(second))
            assert aliases.live[alias] in (first, third)
            go.set()
            await until(lambda: aliases.live == {alias: third})
            await until(lambda: state_of(third) == "live")
            assert state_of(second) == "forgotten"

    asyncio.run(scenario())


def test_an_alias_is_answered_all_through_the_deletion_of_its_live_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = publish("tale")
    alias = alias_of(first)
    for name in ("forget", "before", "went_live"):
        monkeypatch.setattr(Deployments, name, slowly(getattr(Deployments, name)))

    async def scenario() -> None:
        async with pooled() as pool:
            await ask(pool, alias)
            second = publish("tale")
            await until(lambda: listed(pool)[alias].alias_of == second)
            deleting = asyncio.create_task(pool.delete(second))
            answers = []
            while not deleting.done():
                answers.append(await ask(pool, alias))
                with pytest.raises(NotFoundError):
                    await pool.lease(second)
            await deleting
            assert answers[0] == second
            assert set(answers) == {first, second}
            assert await ask(pool, alias) == first

    asyncio.run(scenario())


def slowly(call: Callable[..., object]) -> Callable[..., object]:
    def slow(*given: object) -> object:
        time.sleep(0.1)
        return call(*given)

    return slow


def spoilt(version: str, **changes: object) -> str:
    """Other values in the prompts of its reference, as if it had been published so."""
    directory = get_adapter(version).path
    probe = json.loads((directory / "probe.json").read_text())
    probe["prompts"] = [prompt | changes for prompt in probe["prompts"]]
    (directory / "probe.json").write_text(json.dumps(probe))
    manifest = json.loads((directory / MANIFEST).read_text())
    manifest["files"]["probe.json"] = paths.sha256_file(directory / "probe.json")
    (directory / MANIFEST).write_text(json.dumps(manifest))
    return version


def test_a_reference_that_cannot_be_compared_fails_its_version_once_and_nobody_else() -> None:
    good = publish("good")
    bad = [
        spoilt(publish("short"), adapter_logprobs=[-1.0]),
        spoilt(publish("null"), base_logprobs=None),
        spoilt(publish("words"), greedy_gaps=["a", "b"]),
        spoilt(publish("gapless"), greedy_gaps=[]),
    ]
    wishes = Deployments(open_store())

    async def scenario() -> None:
        async with pooled() as pool:
            for version in bad:
                with pytest.raises(ProbeFailedError, match="cannot be used"):
                    await pool.lease(version, wait_seconds=LONG)
                wishes.want(alias_of(version), version, "deployed by hand")
            await until(lambda: not wishes.wanted())
            assert {state_of(version) for version in bad} == {"failed"}
            assert await ask(pool, good) == good

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(13, "Permission denied"), AdapterCorruptError),
        (FileNotFoundError(2, "No such file"), AdapterCorruptError),
        (ValueError("odd"), ProbeFailedError),
        (TypeError("odd"), ProbeFailedError),
    ],
    ids=repr,
)
def test_files_that_cannot_be_read_are_an_error_of_that_adapter(
    monkeypatch: pytest.MonkeyPatch, error: Exception, said: type[Exception]
) -> None:
    good, bad = publish("good"), publish("bad")
    real = proving.verify

    def verify(adapter: Adapter) -> None:
        if str(adapter.id) == bad:
            raise error
        real(adapter)

    async def scenario() -> None:
        async with pooled() as pool:
            monkeypatch.setattr(proving, "verify", verify)
            await ask(pool, good)
            with pytest.raises(said, match=bad):
                await pool.lease(bad, wait_seconds=LONG)

    # The newest is loaded at the start.
    monkeypatch.setattr(proving, "verify", verify)
    asyncio.run(scenario())


@pytest.mark.parametrize("content", ['["fold_quotes"]', "{}", "{", "[]"])
def test_a_base_that_cannot_be_read_fails_its_adapters_in_words(home: Path, content: str) -> None:
    version = publish("tale")
    (home / "bases" / FIRST / EXTRAS_FILE).write_text(content)
    catalog = Catalog()
    catalog.refresh()
    with pytest.raises(ProbeFailedError, match="cannot be read"):
        catalog.base_of(catalog.find(version))


def test_an_adapter_is_not_there_before_its_base_is(monkeypatch: pytest.MonkeyPatch) -> None:
    version, catalog = publish("tale"), Catalog()
    real, seen = catalog_module.inspect_base, []

    def inspect(*given: object, **named: object) -> object:
        seen.append(set(catalog.adapters))
        return real(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(catalog_module, "inspect_base", inspect)
    catalog.refresh()
    assert seen == [set()]
    assert version in catalog.adapters


def checkpoint_of(version: str, step: int) -> str:
    """A checkpoint of it that happens to have its very weights."""
    final = get_adapter(version)
    kept = final.id.checkpoint(step)
    shutil.copytree(final.path, paths.adapters_dir() / f".{kept.directory}")
    made = paths.adapters_dir() / f".{kept.directory}"
    manifest = json.loads((made / MANIFEST).read_text())
    manifest |= {"id": str(kept), "created_at": "2099-01-01T00:00:00Z"}
    (made / MANIFEST).write_text(json.dumps(manifest))
    made.rename(paths.adapters_dir() / kept.directory)
    return str(kept)


def test_a_checkpoint_answers_to_its_id_and_is_nothing_to_the_alias() -> None:
    first = publish("tale")
    alias = alias_of(first)
    kept = checkpoint_of(first, 40)
    deployments = Deployments(open_store())

    async def scenario() -> None:
        async with pooled() as pool:
            assert await ask(pool, alias) == first
            assert await ask(pool, kept) == kept
            assert {kept, first, alias} <= listed(pool).keys()
            assert listed(pool)[alias].alias_of == first
            late = checkpoint_of(first, 41)
            second = publish("tale")
            await until(lambda: listed(pool)[alias].alias_of == second)
            assert late in listed(pool)
            assert {wish.adapter_id for wish in deployments.history(alias)} == {first, second}
            # The command would refuse it; somebody wrote it into the store.
            deployments.want(alias, kept, "by hand")
            await until(lambda: state_of(kept) == "failed")
            assert await ask(pool, alias) == second
            await pool.delete(kept)
            with pytest.raises(NotFoundError):
                await pool.lease(kept)
            assert await ask(pool, alias) == second
            await pool.delete(second)
            assert await ask(pool, alias) == first
            await pool.delete(first)
            assert listed(pool).keys() & {late, alias} == {late}

    asyncio.run(scenario())


def test_a_server_begins_with_no_checkpoint_that_nobody_asked_for() -> None:
    first = publish("tale")
    kept = checkpoint_of(first, 40)
    shutil.rmtree(get_adapter(first).path)

    async def scenario() -> None:
        async with pooled() as pool:
            assert listed(pool)[kept].state == "idle"
            assert alias_of(first) not in listed(pool)
            assert await ask(pool, kept) == kept

    asyncio.run(scenario())


def test_what_a_killed_server_had_begun_to_remove_goes(home: Path) -> None:
    kept, gone = publish("kept"), publish("gone")
    catalog = Catalog()
    catalog.refresh()
    for version in (kept, gone):
        merged_path(catalog.find(version)).mkdir(parents=True)
    left = [
        home / "adapters" / ".deleted-tale-0a0a0a0a",
        home / "merged" / ".deleted-tale-0a0a0a0a",
    ]
    for path in left:
        path.mkdir()
        (path / "file").touch()
    catalog.remove(catalog.find(gone))
    assert set(catalog.adapters) == {kept}
    name = get_adapter(kept).path.name
    for parent in ("adapters", "merged"):
        assert [path.name for path in (home / parent).iterdir()] == [name]


@pytest.mark.parametrize(
    ("script", "error", "said"),
    [
        ("kill -9 $$", EngineError, "ended by signal 9"),
        ("echo 'Error: The disk is full.' >&2; exit 75", EngineError, "disk is full"),
        ("echo 'Error: no such matrix' >&2; exit 1", ProbeFailedError, "no such matrix"),
        ("exit 2", ProbeFailedError, "exit code 2"),
    ],
)
def test_a_merge_that_was_ended_is_no_refusal(
    home: Path, monkeypatch: pytest.MonkeyPatch, script: str, error: type[Exception], said: str
) -> None:
    version = publish("tale")
    python = home / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(error, match=said):
        asyncio.run(require_merged(get_adapter(version)))
