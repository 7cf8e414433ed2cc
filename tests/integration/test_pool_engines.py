"""The pool over real processes: engines that are woken, put to sleep, die, hang, and come back;
adapters that come, change and go. The engines are stand-ins, so that it takes seconds."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from safetensors.numpy import save_file

from lmft import machine, paths
from lmft.deploying import deploy, rollback
from lmft.errors import EngineError, EngineWakingError, LmftError, NotFoundError, ProbeFailedError
from lmft.format.contract import FormatContract
from lmft.ids import mint_adapter_id
from lmft.registry.adapters import REQUIRED_FILES, Adapter, Training, write_manifest
from lmft.store.database import open_store
from lmft.store.deployments import Deployments
from serving.engine.client import EngineClient
from serving.engine.settings import EngineSettings
from serving.pool import catalog, failures, memory, room, running
from serving.pool.catalog import Catalog
from serving.pool.member import Member
from serving.pool.merging import merged_path
from serving.pool.plan import Limits
from serving.pool.pool import Pool
from serving.pool.served import Listed
from tests.conftest import ROOT

CONTRACT = FormatContract(kind="adventure", stop=("\n>",), eos="<|endoftext|>", context_length=64)
TRAINING = Training(
    heldout_before=1.5, heldout_after=1.2, steps=10, tokens=1000, seconds=2.5, device="cpu"
)
FIRST, SECOND = "embedded-aaaaaaaa-original", "embedded-bbbbbbbb-original"
LONG = 60.0


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LMFT_HOME", str(tmp_path))
    monkeypatch.setenv("STAND_IN", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr(machine, "has_vllm", lambda: True)
    original = EngineSettings.command
    monkeypatch.setattr(
        EngineSettings,
        "command",
        lambda *given: ["tests.integration.stand_in_engine", *original(*given)[1:]],
    )
    monkeypatch.setattr(failures, "_MAX_BACKOFF_SECONDS", 0.05)
    monkeypatch.setattr(room, "_GRACE_SECONDS", 0.0)
    for variant in (FIRST, SECOND):
        shutil.copytree(paths.EMBEDDED_BASE, tmp_path / "bases" / variant)
    return tmp_path


@pytest.fixture
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in takes next to nothing, so what was estimated for it stays."""
    monkeypatch.setattr(memory, "taken_bytes", lambda _: 0)


@pytest.fixture
def slow_to_close(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine's end takes long enough for something to happen meanwhile."""
    close = EngineClient.close

    async def slowly(self: EngineClient) -> None:
        await asyncio.sleep(0.5)
        await close(self)

    monkeypatch.setattr(EngineClient, "close", slowly)


def publish(suffix: str, variant: str = FIRST, rank: int = 8) -> str:
    """An adapter with a reference that the stand-in knows by heart; nothing can multiply it."""
    adapter_id = mint_adapter_id("embedded", suffix)
    with paths.publishing(paths.adapters_dir() / adapter_id.directory) as staging:
        for name in REQUIRED_FILES:
            (staging / name).write_text(f"{adapter_id} {name}")
        CONTRACT.write(staging)
        config = {"r": rank, "lora_alpha": rank, "target_modules": ["toy"]}
        (staging / "adapter_config.json").write_text(json.dumps(config))
        name = "base_model.model.toy.lora_{}.weight"
        tensors = {
            name.format("A"): np.ones((rank, 4), np.float32),
            name.format("B"): np.ones((4, rank), np.float32),
        }
        save_file(tensors, staging / "adapter_model.safetensors")
        prompt = {
            "token_ids": [1, 2, int(adapter_id.key[:4], 16)],
            "base_logprobs": [-2.0, -2.0],
            "adapter_logprobs": [-1.0, -1.0],
            "greedy_tokens": [5, 6],
            "greedy_gaps": [1.0, 1.0],
        }
        (staging / "probe.json").write_text(json.dumps({"prompts": [prompt]}))
        write_manifest(
            staging,
            adapter_id=adapter_id,
            base="embedded",
            base_hash="b" * 64,
            variant=variant,
            quantization="none",
            rank=rank,
            corpus_hash="c" * 64,
            training=TRAINING,
        )
    return str(adapter_id)


@contextlib.asynccontextmanager
async def pooled(*, gib: float = 64, hang_seconds: float = 30) -> AsyncIterator[Pool]:
    """A running pool that is ready."""
    limits = Limits(int(gib * memory.GIB), slots=2, resident=2, hang_seconds=hang_seconds)
    pool = Pool(Catalog(), Deployments(open_store()), limits)
    task = asyncio.create_task(pool.run())
    try:
        await until(lambda: pool.status.status != "starting")
        yield pool
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert not processes()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(LONG):
        while not condition():
            await asyncio.sleep(0.02)


def processes(variant: str = "") -> list[int]:
    """The living stand-ins of this test."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = file.read_text()
            if "stand_in_engine" in words and f"{os.environ['LMFT_HOME']}/" in words:
                found += [int(file.parent.name)] if variant in words else []
    return found


def calls(home: Path, kind: str) -> list[str]:
    lines = (home / "calls").read_text().splitlines()
    return [line.split()[1] for line in lines if line.split()[0] == kind]


def listed(pool: Pool) -> dict[str, Listed]:
    return {entry.id: entry for entry in pool.listed()}


async def ask(pool: Pool, model: str, wait_seconds: float = LONG) -> str:
    """The version that answers."""
    with await pool.lease(model, wait_seconds=wait_seconds) as lease:
        assert (await lease.client.json("/v1/completions", question(lease.model.engine_name)))[
            "choices"
        ]
        return lease.model.id


async def merge(adapter: Adapter) -> None:
    """As the process that merges would leave it, for a stand-in."""
    shutil.copytree(paths.EMBEDDED_BASE, merged_path(adapter), dirs_exist_ok=True)


def question(name: str) -> dict[str, object]:
    return {"model": name, "prompt": [1, 2], "max_tokens": 1}


def engine_of(pool: Pool, variant: str) -> Member:
    return next(one for one in pool.engines() if one.plan.name == variant)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["exit 0", "killed"])
def test_an_engine_that_ends_comes_back_with_all_it_had_before_anybody_is_let_in(
    home: Path, number: signal.Signals
) -> None:
    loaded = [publish("one"), publish("two")]

    async def scenario() -> None:
        async with pooled() as pool:
            for model in loaded:
                await ask(pool, model)
            os.kill(processes()[0], number)
            await until(lambda: not engine_of(pool, FIRST).ready)
            with pytest.raises(EngineWakingError) as caught:
                await pool.lease(loaded[0])
            assert caught.value.retry_after_seconds >= 1
            assert await ask(pool, "embedded") == "embedded"
            states = listed(pool)
            assert {states[model].state for model in loaded} == {"live"}
            assert calls(home, "load").count(calls(home, "load")[0]) == 2

    asyncio.run(scenario())


def test_an_engine_that_lives_and_fails_to_answer_is_replaced_at_once(home: Path) -> None:
    """As vLLM's HTTP server does for seconds after the process that computes was killed."""
    model = publish("one")

    async def scenario() -> None:
        async with pooled() as pool:
            await ask(pool, model)
            stopped = processes()[0]
            (home / "broken").touch()
            with pytest.raises(EngineError):
                await ask(pool, model)
            await until(lambda: not engine_of(pool, FIRST).ready)
            (home / "broken").unlink()
            assert await ask(pool, model) == model
            assert stopped not in processes()

    asyncio.run(scenario())


def test_an_engine_that_failed_once_and_answers_again_stays(home: Path) -> None:
    model = publish("one")

    async def scenario() -> None:
        async with pooled() as pool:
            engine = engine_of(pool, FIRST)
            await ask(pool, model)
            assert engine.running is not None
            client = engine.running.process.client
            client.failed_at = client.heard_at + 1e-9
            await until(lambda: not client.doubtful)
            assert await ask(pool, model) == model
            assert calls(home, "start") == [FIRST]

    asyncio.run(scenario())


def test_an_engine_that_hangs_is_replaced(home: Path) -> None:
    model = publish("one")

    async def scenario() -> None:
        async with pooled(hang_seconds=1) as pool:
            stopped = processes()[0]
            os.kill(stopped, signal.SIGSTOP)
            await until(lambda: stopped not in processes())
            assert await ask(pool, model) == model
            assert listed(pool)[model].state == "live"

    asyncio.run(scenario())


def test_an_engine_that_does_not_start_again_fails_and_the_others_go_on(home: Path) -> None:
    good, doomed = publish("good"), publish("doomed", SECOND)

    async def scenario() -> None:
        async with pooled() as pool:
            for model in (good, doomed):
                await ask(pool, model)
            (home / f"refuses-{SECOND}").touch()
            os.kill(processes(SECOND)[0], signal.SIGKILL)
            await until(lambda: engine_of(pool, SECOND).state == "failed")
            with pytest.raises(EngineError) as caught:
                await pool.lease(doomed, wait_seconds=LONG)
            assert "told to refuse" in caught.value.message
            assert "secret" not in caught.value.message
            # Its death was the first failure, its first start none.
            assert calls(home, "start").count(SECOND) == failures.MAX_FAILURES
            assert await ask(pool, good) == good
            assert pool.status.status == "ready"
            assert listed(pool)[doomed].state == "failed"

    asyncio.run(scenario())


def test_an_engine_that_was_given_up_is_tried_again_for_who_asks_later(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, good = publish("other", SECOND), publish("good")
    (home / f"refuses-{SECOND}").touch()

    async def scenario() -> None:
        async with pooled() as pool:
            await ask(pool, good)
            with pytest.raises(EngineError):
                await pool.lease(other, wait_seconds=LONG)
            starts = calls(home, "start").count(SECOND)
            (home / f"refuses-{SECOND}").unlink()
            with pytest.raises(EngineError):
                await pool.lease(other, wait_seconds=LONG)
            assert calls(home, "start").count(SECOND) == starts
            monkeypatch.setattr(engine_of(pool, SECOND)._failures, "_forgiven_at", 0.0)
            assert await ask(pool, other) == other

    asyncio.run(scenario())


def test_who_waits_for_an_engine_stands_aside(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other, model = publish("other", SECOND), publish("one")
    (home / f"refuses-{SECOND}").touch()
    came: list[str] = []

    @contextlib.asynccontextmanager
    async def aside() -> AsyncIterator[None]:
        came.append("aside")
        yield
        came.append("back")

    async def scenario() -> None:
        async with pooled() as pool:
            await ask(pool, model)
            (await pool.lease(model, wait_seconds=LONG, aside=aside)).release()
            assert not came
            with pytest.raises(EngineError):
                await pool.lease(other, wait_seconds=LONG)
            (home / f"refuses-{SECOND}").unlink()
            monkeypatch.setattr(engine_of(pool, SECOND)._failures, "_forgiven_at", 0.0)
            (await pool.lease(other, wait_seconds=LONG, aside=aside)).release()
            assert came == ["aside", "back"]

    asyncio.run(scenario())


def test_a_server_whose_only_engine_cannot_start_says_why_and_ends(home: Path) -> None:
    publish("one")
    (home / f"refuses-{FIRST}").touch()

    async def scenario() -> None:
        async with pooled() as pool:
            assert pool.status.status == "failed"
            assert pool.failure is not None
            assert "told to refuse" in str(pool.failure)

    asyncio.run(scenario())


@pytest.mark.usefixtures("unmeasured")
def test_a_base_that_sleeps_is_woken_by_being_asked_and_an_idle_one_makes_room() -> None:
    other, model = publish("other", SECOND), publish("one")

    async def scenario() -> None:
        # Room for one: an engine of this base is estimated at about 1.6 GiB.
        async with pooled(gib=2) as pool:
            assert listed(pool)[other].state == "idle"
            with pytest.raises(EngineWakingError) as caught:
                await pool.lease(other)
            assert caught.value.code == "engine_starting"
            # Who waits gets it; nobody held the first one, so it sleeps now.
            assert await ask(pool, other) == other
            assert len(processes()) == 1
            assert listed(pool)[model].state == "idle"
            # Held, it stays, whoever asks.
            with await pool.lease(other):
                with pytest.raises(EngineWakingError):
                    await pool.lease(model, wait_seconds=1)
                assert processes(SECOND)
            # What it had loaded is loaded again before it answers.
            assert await ask(pool, "embedded") == "embedded"
            assert listed(pool)[model].state == "live"

    asyncio.run(scenario())


def test_what_an_engine_is_measured_to_take_corrects_its_estimate() -> None:
    """Two stand-ins fit where two engines as they were estimated would not."""
    models = [publish("one"), publish("other", SECOND)]

    async def scenario() -> None:
        async with pooled(gib=3) as pool:
            for model in models:
                await ask(pool, model)
            estimated = engine_of(pool, FIRST).plan.need(3 * memory.GIB).total
            assert len(processes()) == 2
            assert 0 < engine_of(pool, FIRST).need_bytes() < estimated / 4

    asyncio.run(scenario())


def test_two_engines_do_not_start_at_the_same_moment(home: Path) -> None:
    models = [publish("one"), publish("other", SECOND)]

    async def scenario() -> None:
        async with pooled() as pool:
            os.kill(processes()[0], signal.SIGKILL)
            await until(lambda: not any(engine.ready for engine in pool.engines()))
            await asyncio.gather(*(ask(pool, model) for model in models))

    asyncio.run(scenario())
    spans = [line.split() for line in (home / "calls").read_text().splitlines()]
    events = [word for word, *_ in spans if word in ("start", "ready")]
    assert events == ["start", "ready"] * 3


def test_a_loading_adapter_is_loaded_once_and_waited_for_by_all(home: Path) -> None:
    model, _ = publish("asked"), publish("newest")

    async def scenario() -> None:
        async with pooled() as pool:
            assert listed(pool)[model].state == "idle"
            answers = await asyncio.gather(*(ask(pool, model, 0) for _ in range(20)))
            assert answers == [model] * 20

    asyncio.run(scenario())
    key = model.rpartition(":")[2]
    assert [name for name in calls(home, "load") if name.startswith(key)] == [
        name for name in calls(home, "load") if name.startswith(key)
    ][:1]


def test_the_least_recently_used_leave_and_none_that_is_held(home: Path) -> None:
    models = [publish(f"m{number}") for number in range(5)]

    async def scenario() -> None:
        async with pooled() as pool:
            held = await pool.lease(models[0])
            for model in models[1:4]:
                await ask(pool, model)
            live = [name for name in models if listed(pool)[name].state == "live"]
            assert live == [models[0], models[3]]
            held.release()
            held.release()
            await ask(pool, models[2])
            live = [name for name in models if listed(pool)[name].state == "live"]
            assert live == [models[2], models[3]]
            # The engine's own list of them does not grow either.
            twins = sum(name.startswith("twin") for name in calls(home, "load"))
            await until(lambda: len(calls(home, "load")) - len(calls(home, "unload")) == 2)
            # One rank, one start: the batch with twins is tried once.
            assert twins == 1

    asyncio.run(scenario())


def test_a_rank_above_the_slots_brings_a_second_engine_and_the_old_one_drains(home: Path) -> None:
    model = publish("one")

    async def scenario() -> None:
        async with pooled() as pool:
            held = await pool.lease(model)
            old = processes()
            large = publish("large", rank=32)
            assert await ask(pool, large) == large
            # The one who was being answered still is, by the old one.
            assert (await held.client.json("/v1/completions", question("x")))["choices"]
            assert set(old) < set(processes())
            assert listed(pool)[model].state == "live"
            held.release()
            await until(lambda: len(processes()) == 1)
            assert not set(old) & set(processes())

    asyncio.run(scenario())


@pytest.mark.usefixtures("unmeasured")
def test_larger_slots_take_no_memory_that_other_engines_have() -> None:
    models = [publish("one"), publish("other", SECOND)]

    async def scenario() -> None:
        # Room for two, not for three.
        async with pooled(gib=4) as pool:
            for model in models:
                await ask(pool, model)
            large = publish("large", rank=32)
            with await pool.lease(models[1]):
                with pytest.raises(EngineWakingError, match="Other engines"):
                    await pool.lease(large, wait_seconds=1)
                assert len(processes()) == 2
            assert await ask(pool, large) == large
            assert not processes(SECOND)

    asyncio.run(scenario())


def test_the_device_is_not_given_up_before_an_engine_with_larger_slots_has_ended() -> None:
    model = publish("one")

    async def scenario() -> None:
        async with pooled() as pool:
            await ask(pool, model)
            large = publish("large", rank=32)
            asking = asyncio.create_task(ask(pool, large))
            await until(lambda: len(processes()) == 2)
            await pool.give_up_device("it trains", 40)
            assert not processes()
            await pool.take_back_device()
            assert await asking == large

    asyncio.run(scenario())


@pytest.mark.usefixtures("unmeasured", "slow_to_close")
def test_the_device_is_given_up_while_one_engine_makes_room_for_another() -> None:
    other, model = publish("other", SECOND), publish("one")

    async def scenario() -> None:
        async with pooled(gib=2) as pool:
            await ask(pool, model)
            asking = asyncio.create_task(ask(pool, other))
            await until(lambda: engine_of(pool, FIRST).phase == "going to sleep")
            async with asyncio.timeout(LONG / 4):
                await pool.give_up_device("it trains", 40)
            assert not processes()
            await pool.take_back_device()
            assert await asking == other

    asyncio.run(scenario())


@pytest.mark.usefixtures("slow_to_close")
def test_an_engine_whose_stop_is_cancelled_has_ended_all_the_same() -> None:
    publish("one")

    async def scenario() -> None:
        async with pooled() as pool:
            current = engine_of(pool, FIRST).running
            assert current is not None
            stopping = asyncio.create_task(current.stop(kill=True))
            await asyncio.sleep(0.1)
            stopping.cancel()
            with pytest.raises(asyncio.CancelledError):
                await stopping
            assert not current.process.running

    asyncio.run(scenario())


def test_an_engine_counts_as_used_until_its_last_answer_has_ended() -> None:
    model = publish("one")

    async def scenario() -> None:
        async with pooled() as pool:
            lease = await pool.lease(model)
            begun = engine_of(pool, FIRST).used_at
            await asyncio.sleep(0.05)
            lease.release()
            assert engine_of(pool, FIRST).used_at > begun

    asyncio.run(scenario())


@pytest.mark.usefixtures("unmeasured")
def test_without_memory_for_two_engines_a_larger_rank_is_refused_in_words() -> None:
    model = publish("one")

    async def scenario() -> None:
        async with pooled(gib=2) as pool:
            large = publish("large", rank=32)
            with pytest.raises(ProbeFailedError, match="rank of 16, not 32"):
                await pool.lease(large)
            assert await ask(pool, model) == model

    asyncio.run(scenario())


def test_a_new_version_takes_the_alias_once_proven_and_the_old_one_leaves_when_unused(
    home: Path,
) -> None:
    first = publish("tale")
    alias = first.rpartition(":")[0]

    async def scenario() -> None:
        async with pooled() as pool:
            held = await pool.lease(alias)
            assert held.model.id == first
            second = publish("tale")
            await until(lambda: listed(pool)[alias].alias_of == second)
            assert await ask(pool, alias) == second
            assert listed(pool)[first].state == "live"
            held.release()
            await until(lambda: listed(pool)[first].state == "idle")
            # A wish by hand, as `lmft models rollback` writes it.
            deployments = Deployments(open_store())
            assert deployments.before(alias) == first
            deployments.want(alias, first, "rolled back")
            await until(lambda: listed(pool)[alias].alias_of == first)
            await until(lambda: deployments.live() == {alias: first})
            assert await ask(pool, second) == second
        # Another server over the same data begins where this one was.
        async with pooled() as pool:
            assert listed(pool)[alias].alias_of == first

    asyncio.run(scenario())


def test_without_a_server_a_wish_is_kept_and_the_next_one_fulfils_it(home: Path) -> None:
    first, second = publish("tale"), publish("tale")
    alias = first.rpartition(":")[0]
    said = Console(file=io.StringIO(), width=200)
    with pytest.raises(NotFoundError, match="no other version"):
        rollback("tale", said)
    deploy(first, said)
    assert "no server runs" in said.file.getvalue()

    async def scenario() -> None:
        async with pooled() as pool:
            await until(lambda: Deployments(open_store()).live() == {alias: first})
            assert await ask(pool, alias) == first
            assert await ask(pool, second) == second

    asyncio.run(scenario())


def test_a_version_that_fails_its_probe_never_gets_the_alias(home: Path) -> None:
    first = publish("tale")
    alias = first.rpartition(":")[0]

    async def scenario() -> None:
        async with pooled() as pool:
            bad = publish("tale", variant="no-such-base")
            deployments = Deployments(open_store())
            await until(lambda: deployments.history(alias)[0].state == "failed")
            assert deployments.history(alias)[0].adapter_id == bad
            assert "no-such-base" in deployments.history(alias)[0].detail
            assert await ask(pool, alias) == first
            with pytest.raises(ProbeFailedError):
                await pool.lease(bad)
            assert listed(pool)[bad].state == "failed"

    asyncio.run(scenario())


def test_an_adapter_that_answers_otherwise_as_a_lora_is_served_merged_and_it_is_said_why(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = publish("one")
    (home / "lies").touch()

    monkeypatch.setattr(running, "require_merged", merge)

    async def scenario() -> None:
        async with pooled() as pool:
            with await pool.lease(model, wait_seconds=LONG) as lease:
                assert lease.model.id == model
                assert lease.model.engine_name.endswith("-merged")
                assert lease.model.fingerprint == listed(pool)[model].fingerprint
            entry = listed(pool)[model]
            assert (entry.service, entry.state) == ("merged", "live")
            assert "log-probabilities differ" in entry.detail
            assert entry.probe is not None
            assert await ask(pool, "embedded") == "embedded"

    asyncio.run(scenario())


def test_all_who_wait_for_an_adapter_that_is_served_merged_have_it_and_so_does_its_alias(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alias = publish("tale").rpartition(":")[0]
    monkeypatch.setattr(running, "require_merged", merge)

    async def scenario() -> None:
        async with pooled() as pool:
            (home / "lies").touch()
            second = publish("tale")
            answers = await asyncio.gather(*(ask(pool, second) for _ in range(3)))
            assert answers == [second] * 3
            await until(lambda: listed(pool)[alias].alias_of == second)
            assert Deployments(open_store()).history(alias)[0].state == "live"

    asyncio.run(scenario())


def test_who_waits_for_an_adapter_that_is_deleted_wakes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    doomed, newest = publish("doomed"), publish("newest")
    merged: list[str] = []

    async def merge_slowly(adapter: Adapter) -> None:
        merged.append(str(adapter.id))
        await merge(adapter)
        if str(adapter.id) == doomed:
            await asyncio.sleep(LONG)

    monkeypatch.setattr(running, "require_merged", merge_slowly)
    monkeypatch.setattr(catalog, "service_of", lambda *_: "merged")

    async def scenario() -> None:
        async with pooled() as pool:
            asking = asyncio.create_task(ask(pool, doomed))
            await until(lambda: doomed in merged)
            await pool.delete(doomed)
            with pytest.raises(NotFoundError):
                await asking
            assert merged == [newest, doomed]
            assert len(pool.engines()) == 1

    asyncio.run(scenario())


def test_the_device_is_given_up_once_unused_and_everything_is_back_afterwards(home: Path) -> None:
    models = [publish("one"), publish("two")]

    async def scenario() -> None:
        async with pooled() as pool:
            for model in models:
                await ask(pool, model)
            held = await pool.lease(models[0])
            giving = asyncio.create_task(pool.give_up_device("it trains", 40))
            await asyncio.sleep(0.3)
            assert processes()
            with pytest.raises(EngineWakingError, match="it trains") as caught:
                await pool.lease(models[0])
            assert 30 < caught.value.retry_after_seconds <= 40
            held.release()
            await giving
            assert not processes()
            await pool.give_up_device("it trains", 90)
            with pytest.raises(EngineWakingError) as caught:
                await pool.lease(models[0], wait_seconds=0.5)
            assert caught.value.retry_after_seconds > 80
            waiting = asyncio.create_task(ask(pool, models[0]))
            await pool.take_back_device()
            assert pool.status.status == "ready"
            assert {listed(pool)[model].state for model in models} == {"live"}
            assert await waiting == models[0]

    asyncio.run(scenario())


def test_deleting_waits_for_requests_and_the_alias_goes_back(home: Path) -> None:
    first, second = publish("tale"), publish("tale")
    alias = first.rpartition(":")[0]

    async def scenario() -> None:
        async with pooled() as pool:
            await until(lambda: listed(pool)[alias].alias_of == second)
            held = await pool.lease(second)
            deleting = asyncio.create_task(pool.delete(second))
            await asyncio.sleep(0.3)
            assert not deleting.done()
            with pytest.raises(NotFoundError):
                await pool.lease(second)
            held.release()
            await deleting
            assert second not in listed(pool)
            await pool.delete(first)
            for gone in (alias, first, second):
                with pytest.raises(NotFoundError):
                    await pool.lease(gone)
            assert not list((home / "adapters").iterdir())
            for refused in (alias, "embedded", first):
                with pytest.raises(LmftError):
                    await pool.delete(refused)

    asyncio.run(scenario())


def test_one_that_stops_waiting_ends_it_for_nobody_else(home: Path) -> None:
    model, _ = publish("asked"), publish("newest")

    async def scenario() -> None:
        async with pooled() as pool:
            gone = asyncio.create_task(pool.lease(model))
            staying = asyncio.create_task(ask(pool, model))
            await asyncio.sleep(0)
            gone.cancel()
            assert await staying == model
            # Nothing of the one that went is still held.
            assert engine_of(pool, FIRST).leases == 0

    asyncio.run(scenario())
