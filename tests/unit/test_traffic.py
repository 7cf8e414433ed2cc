"""An adapter's traffic: windows, rates, drift against the held-out text, and the file."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest
from rich.console import Console

from lmft.registry.show import _show_traffic
from lmft.registry.traffic import Counts, Traffic
from lmft.registry.traffic_files import heldout_logprob, read_traffic, traffic_file, write_text

MODEL = "ft:embedded:me:tale:0a1b2c3d"
NOON = 1_800_000_000.0
HOUR, DAY = 3600, 86_400


@pytest.fixture
def traffic(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Traffic:
    monkeypatch.setenv("LMFT_HOME", str(tmp_path))
    return Traffic(model=MODEL, since=NOON - 2 * DAY, until=NOON - 2 * DAY, heldout_logprob=-3.0)


def test_a_request_is_in_the_hour_then_only_in_the_day_then_only_in_all(traffic: Traffic) -> None:
    traffic.add(Counts(requests=1), NOON)

    def seen(later: float) -> list[int]:
        return [traffic.window(window, NOON + later).requests for window in ("hour", "day", "all")]

    assert seen(0) == [1, 1, 1]
    assert seen(HOUR - 60) == [1, 1, 1]
    assert seen(HOUR + 60) == [0, 1, 1]
    assert seen(DAY - 900) == [0, 1, 1]
    assert seen(DAY + 900) == [0, 0, 1]


def test_ten_days_of_traffic_are_no_larger_a_file_than_one(traffic: Traffic) -> None:
    for quarter in range(10 * 96):
        traffic.add(Counts(requests=1, sampled_logprob=-1.25), NOON + quarter * 900)
    assert {window: len(slots) for window, slots in traffic.slots.items()} == {"hour": 4, "day": 96}
    assert len(traffic.model_dump_json()) < 40_000
    assert traffic.total.requests == 10 * 96


def test_rates_are_shares_of_finished_replies_not_of_requests(traffic: Traffic) -> None:
    traffic.add(Counts(requests=1, aborted=1, completion_tokens=500), NOON)
    traffic.add(
        Counts(
            requests=2,
            completion_tokens=80,
            replies=4,
            reply_tokens=80,
            stopped=3,
            cut=1,
            looping=2,
        ),
        NOON,
    )
    figures = traffic.summary("hour", NOON)
    assert (figures.stop_rate, figures.length_rate, figures.loop_rate) == (0.75, 0.25, 0.5)
    assert figures.reply_tokens == 20
    assert (figures.requests, figures.aborted) == (3, 1)


def test_rates_a_minute_are_over_the_time_that_was_watched(traffic: Traffic) -> None:
    young = Traffic(model=MODEL, since=NOON - 600, until=NOON)
    for one in (traffic, young):
        one.add(Counts(requests=60, prompt_tokens=200, completion_tokens=100), NOON)
    assert traffic.summary("hour", NOON).requests_per_minute == 1
    assert young.summary("hour", NOON).requests_per_minute == 6
    assert young.summary("hour", NOON).tokens_per_minute == 30


def test_drift_is_the_replies_mean_less_the_held_out_mean_weighted_by_tokens(
    traffic: Traffic,
) -> None:
    for tokens, mean, temperature in ((10, -2.0, 0.5), (30, -1.0, 0.9)):
        traffic.add(
            Counts(
                sampled_tokens=tokens,
                sampled_logprob=tokens * mean,
                sampled_temperature=tokens * temperature,
            ),
            NOON,
        )
    figures = traffic.summary("day", NOON)
    assert figures.logprob == pytest.approx(-1.25)
    assert figures.drift == pytest.approx(1.75)
    assert figures.temperature == pytest.approx(0.8)


def test_what_was_never_seen_is_unknown_not_zero(traffic: Traffic) -> None:
    traffic.add(Counts(requests=1, failed=1), NOON)
    figures = traffic.summary("hour", NOON)
    unknown = (figures.reply_tokens, figures.stop_rate, figures.loop_rate, figures.logprob)
    assert unknown == (None,) * 4
    assert figures.drift is None


def test_the_file_comes_back_as_it_was(traffic: Traffic) -> None:
    traffic.add(Counts(requests=3, sampled_logprob=-0.5), NOON)
    file = traffic_file(MODEL)
    assert file is not None
    write_text(file, traffic.model_dump_json())
    assert read_traffic(MODEL) == traffic
    assert [entry.name for entry in file.parent.iterdir()] == ["tale-0a1b2c3d.json"]


@pytest.mark.parametrize("text", ["", "{", '{"version": 2}', "[]", "\udc80"])
def test_a_file_that_cannot_be_read_is_no_traffic_and_no_error(traffic: Traffic, text: str) -> None:
    file = traffic_file(MODEL)
    assert file is not None
    file.parent.mkdir(parents=True)
    file.write_bytes(text.encode(errors="surrogateescape"))
    assert read_traffic(MODEL) is None


def test_only_an_adapters_id_has_a_file() -> None:
    assert traffic_file("embedded") is None
    assert traffic_file("../../etc/passwd") is None


def test_a_write_that_fails_leaves_the_old_file(
    traffic: Traffic, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = traffic_file(MODEL)
    assert file is not None
    write_text(file, "old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_text(file, "new")
    assert file.read_text() == "old"
    assert len(list(file.parent.iterdir())) == 1


def test_the_held_out_mean_is_over_tokens_not_over_prompts(tmp_path: Path) -> None:
    prompts = [{"adapter_logprobs": [-1.0]}, {"adapter_logprobs": [-4.0, -4.0, -4.0]}]
    (tmp_path / "probe.json").write_text(json.dumps({"prompts": prompts}))
    assert heldout_logprob(tmp_path) == pytest.approx(-3.25)
    assert heldout_logprob(tmp_path / "nowhere") is None


def test_traffic_is_shown_with_a_dash_for_what_is_unknown(traffic: Traffic) -> None:
    traffic.add(Counts(requests=1234, replies=4, stopped=3), NOON)
    written = io.StringIO()
    _show_traffic(traffic, Console(width=100, file=written))
    lines = [line.rstrip() for line in written.getvalue().splitlines()]
    assert next(line for line in lines if line.strip().startswith("requests ")).endswith("1,234")
    assert next(line for line in lines if "against held-out" in line).endswith("-")
