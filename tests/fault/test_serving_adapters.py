"""Adapters that come, change and go while others are being asked: nobody else notices."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.fault.bad_adapters import BAD, deeper, publish
from tests.fault.conftest import Stage, Traffic
from tests.integration.test_engine_life import eventually

pytestmark = pytest.mark.engine

ALIAS = "ft:embedded:me:tale"


def test_a_new_version_goes_live_by_itself_and_back_by_one_command(stage: Stage) -> None:
    first = publish(stage.home, stage.source, "tale")
    eventually(lambda: stage.listed().get(ALIAS, {}).get("state") == "live", "the first version")
    with Traffic(stage, (ALIAS, stage.good, "embedded")) as traffic:
        second = publish(stage.home, stage.source, "tale")
        eventually(lambda: (second, ALIAS) in _meanings(stage), "the second version")
        back = stage.lmft("models", "rollback", "tale")
        assert back.returncode == 0, back.stderr
        assert back.stdout == f"{ALIAS} now means {first} (before: {second}).\n"
        assert (first, ALIAS) in _meanings(stage)
        forth = stage.lmft("models", "deploy", second)
        assert forth.returncode == 0, forth.stderr
    assert not traffic.failures
    told = [model for model, _ in traffic.answers if model in (first, second)]
    assert {first, second} == set(told)
    assert told[0] == first
    assert stage.ask(ALIAS).json()["model"] == second
    # The version that nobody means any more can still be asked by its id.
    assert stage.ask(first).json()["model"] == first


def _meanings(stage: Stage) -> set[tuple[str, str]]:
    return {(entry["alias_of"], name) for name, entry in stage.listed().items()}


def test_bad_adapters_fail_alone_each_with_one_clear_error(stage: Stage) -> None:
    with Traffic(stage, (stage.good, "embedded")) as traffic:
        bad = {publish(stage.home, stage.source, name, **how): name for name, how in BAD.items()}
        for adapter_id, name in bad.items():
            answers = [stage.ask(adapter_id) for _ in range(2)]
            for answer in answers:
                error = answer.json()["error"]
                assert answer.status_code in (404, 503), (name, answer.text)
                assert error["code"] in {
                    "adapter_corrupt", "probe_failed", "model_not_found",
                }, (name, error)  # fmt: skip
                assert "\n" not in error["message"]
                assert not re.search(r"/(tmp|home|work|root|etc)|Traceback", error["message"])
            assert answers[0].json() == answers[1].json(), name
    assert not traffic.failures
    assert len(traffic.answers) > 10
    assert len(bad) >= 25


def test_more_adapters_than_stay_loaded_are_all_answered(stage: Stage) -> None:
    """12 adapters, 2 slots, 3 resident: nobody fails, and what is not used leaves the engine."""
    many = [publish(stage.home, stage.source, f"many{number}") for number in range(12)]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(stage.ask, many * 2))
    assert [answer.status_code for answer in answers] == [200] * 24
    assert {answer.json()["choices"][0]["text"] for answer in answers} == {
        stage.ask(many[0]).json()["choices"][0]["text"]
    }
    states = [entry["state"] for entry in stage.listed().values() if entry["alias_of"] is None]
    # The base is one of those that are live.
    assert states.count("live") <= 4


@pytest.mark.long
def test_a_rank_above_the_slots_gets_larger_slots_and_nobody_waits(stage: Stage) -> None:
    with Traffic(stage, (stage.good, "embedded")) as traffic:
        large = publish(stage.home, stage.source, "large", before=deeper(32), rank=32)
        assert stage.ask(large).status_code == 200
    assert not traffic.failures
    assert stage.ask(large).json()["choices"] == stage.ask(str(stage.source.id)).json()["choices"]


def test_a_deleted_adapter_is_gone_and_its_alias_with_it(stage: Stage) -> None:
    doomed = publish(stage.home, stage.source, "doomed")
    assert stage.ask(doomed).status_code == 200
    answer = httpx.delete(f"{stage.url}/v1/models/{doomed}", timeout=60)
    assert answer.json() == {"id": doomed, "object": "model", "deleted": True}
    assert stage.ask(doomed).status_code == 404
    assert stage.ask("ft:embedded:me:doomed").status_code == 404
    assert not list((stage.home / "adapters").glob("*doomed*"))


@pytest.mark.parametrize("model", ["ft:embedded:me:nobody", "ft:llama:me:tale:00000000", "gpt-4"])
def test_an_unknown_or_foreign_model_is_404_never_the_base(stage: Stage, model: str) -> None:
    answer = stage.ask(model)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "model_not_found"
