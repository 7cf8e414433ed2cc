"""The Train page's HTML: the loss curve, and what is said of a job."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from tests.browser.scripted_jobs import PLAN, REPORT
from ui.training.corpus_view import corpus
from ui.training.curve import figures, smoothed, thinned, ticks
from ui.training.follow import Seen
from ui.training.job import Job, Listed
from ui.training.job_view import head, jobs, samples
from ui.training.marks import duration, lines, size
from ui.training.plan_view import autos, plan

EVIL = '"><script>alert(1)</script>'
JOB = Job("ftjob-1", "harbour", "embedded", "running", step=3, steps=9, started_at=1, plan=PLAN)


def test_the_curve_shows_both_losses() -> None:
    rows = [{"step": n, "loss": 4 - n / 10} for n in range(1, 11)]
    rows += [{"step": 0, "heldout_loss": 1.5}, {"step": 10, "heldout_loss": 1.2}]
    html = figures(rows, 20)
    assert 'data-points="10" data-measured="2"' in html
    assert "1.500 → 1.200" in html
    assert "at step 10" in html
    # Half of the way is half of the width.
    assert re.search(r'class="dot" d="M500\.0 ', html)


def test_no_figures_are_no_error() -> None:
    for rows in (
        [],
        [{"step": 1}],
        [{"step": 1, "loss": float("nan")}],
        [{"step": 1, "loss": None}],
    ):
        assert 'data-points="0"' in figures(rows, None)


@pytest.mark.parametrize("value", [0.0, 2.5, 1e-9, 1e9])
def test_a_level_line_is_drawn(value: float) -> None:
    html = figures([{"step": n, "loss": value} for n in (1, 2, 3)], 3)
    assert "nan" not in html
    assert html.count('class="line"') == 1


def test_a_point_alone_is_drawn() -> None:
    assert 'class="dot"' in figures([{"step": 0, "heldout_loss": 1.5}], None)


def test_the_average_begins_at_the_first_value() -> None:
    points = smoothed([(1, 4.0), (2, 2.0)])
    assert points[0] == (1, 4.0)
    assert 2.0 < points[1][1] < 4.0


def test_very_many_points_are_thinned_and_the_last_stays() -> None:
    points = [(n, 1.0) for n in range(10_000)]
    assert len(thinned(points)) <= 402
    assert thinned(points)[-1] == (9999, 1.0)
    assert thinned(points[:3]) == points[:3]


@pytest.mark.parametrize(("low", "high"), [(1.0, 1.31), (2.4, 3.5), (0.0, 1000.0), (-1.0, 1.0)])
def test_ticks_are_few_and_inside(low: float, high: float) -> None:
    marks = ticks(low, high)
    assert 2 <= len(marks) <= 6
    assert all(low - 1e-9 <= mark <= high + 1e-9 for mark in marks)


def test_all_that_others_wrote_is_escaped() -> None:
    report = {
        **REPORT,
        "warnings": [EVIL],
        "corpus": {**REPORT["corpus"], "faults": [EVIL], "notes": [EVIL], "languages": {EVIL: 1}},
    }
    job = replace(JOB, name=EVIL, state="failed", problem=EVIL)
    listed = [Listed("ftjob-1", EVIL, EVIL, EVIL, 1)]
    sample = {"step": 1, "prompt": EVIL, "text": EVIL}
    for html in (corpus(report), head(Seen(job)), jobs(listed, ""), samples([sample])):
        assert "<script>" not in html
        assert "&lt;script&gt;" in html


def test_a_corpus_that_must_not_be_trained_on_says_so() -> None:
    html = corpus({**REPORT, "ready": False, "refusals": ["train and held-out are the same"]})
    assert "This must not be trained on:" in html
    assert "train and held-out are the same" in html


def test_a_report_with_little_in_it_is_shown() -> None:
    """Of another version of the server."""
    assert 'data-testid="corpus"' in corpus({"corpus": {"kind": "story"}})
    assert corpus({}) == ""
    assert 'data-testid="plan"' in plan(replace(JOB, plan={"base": "embedded"}))


def test_the_plan_in_words() -> None:
    html = plan(JOB)
    for words in ("102 steps of 1,024 tokens", "1.0 GB of 23.0 GB free", "about 2 min", "94 MB"):
        assert words in html
    assert autos(JOB) == {"epochs": "3", "rank": "16", "rate": "0.0015"}


def test_states_are_told_apart() -> None:
    def parsed(status: str, wish: str = "", started: int | None = None) -> str:
        job = {"id": "ftjob-1", "status": status, "started_at": started}
        return Job.parse({"job": job, "wish": wish}).state

    assert parsed("paused") == "held"
    assert parsed("paused", started=5) == "paused"
    assert parsed("running", "pause", 5) == "pausing"
    assert parsed("running", "cancel", 5) == "cancelling"
    assert parsed("failed", "cancel", 5) == "failed"


def test_plans_that_came_to_nothing_are_not_listed() -> None:
    made = {"model": "embedded", "metadata": {"made_by": "train-page"}, "status": "cancelled"}
    draft = Listed.parse({"id": "ftjob-1", **made})
    ended = Listed.parse({"id": "ftjob-2", **made, "started_at": 5})
    others = Listed.parse({"id": "ftjob-3", **made, "metadata": {}})
    html = jobs([draft, ended, others], "")
    assert "ftjob-1" not in html
    assert "ftjob-2" in html
    assert "ftjob-3" in html


def test_sizes_and_times() -> None:
    assert [size(n) for n in (900, 2.5e6, 3e9)] == ["1 KB", "2 MB", "3.0 GB"]
    assert [duration(n) for n in (0.2, 90, 200, 9000)] == ["1 s", "90 s", "3 min", "2.5 h"]
    assert lines(map(str, range(500))).endswith("<li>+ 300</li></ul>")
