"""The run report: the page, the curve, figures in words, and that nothing of a person leaks."""

from __future__ import annotations

import io
import re
import struct
from dataclasses import replace
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from rich.console import Console

from lmft.train.recipe import Energy as EnergyChoices
from lmft.train.watch import curve
from lmft.train.watch.bar import Bar, Figures, duration
from lmft.train.watch.closing import print_closing
from lmft.train.watch.energy import Energy
from lmft.train.watch.history import History
from lmft.train.watch.page import render_page
from lmft.train.watch.report import Outcome, energy_said
from tests.unit.watched import evaluation, metric, tiny_job

HOSTILE = '<script>alert(1)</script> & "it" \u202e sk-proj-0123456789abcdefghijABCDEFGHIJ'
MEASURED = Energy(0.012, 0.0057, "measured", 0.002, 0.009, 0.001, "Germany")


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    job = tiny_job(tmp_path_factory.mktemp("secret-folder"), "energy.price_per_kwh=0.3")
    job = replace(job, plan=replace(job.plan, reasons=(f"because {HOSTILE}",)))
    steps = job.plan.steps
    rows = [evaluation(0, 1.5), *map(metric, range(1, steps + 1)), evaluation(steps, 1.2)]
    written = [
        {"step": step, "seed": 1, "prompt": f"prompt {HOSTILE}", "text": f"{word}\n{HOSTILE}"}
        for step, word in ((0, "gibberish"), (steps, "a story"))
    ]
    return Outcome(job, History.of(rows, steps), written, 65.0, 0.31, 2 * 10**9, MEASURED)


@pytest.fixture(scope="module")
def page(outcome: Outcome) -> str:
    return render_page(outcome)


def text_of(page: str) -> str:
    return BeautifulSoup(page, "lxml").get_text(" ")


def test_nothing_in_a_text_becomes_part_of_the_page(page: str) -> None:
    assert "<script" not in page
    assert "\u202e" not in page
    assert text_of(page).count("<script>alert(1)</script>") == 4


def test_secrets_in_samples_and_reasons_are_masked(page: str) -> None:
    assert "0123456789abcdefghij" not in page


def test_no_directory_of_this_machine_is_in_the_report(page: str) -> None:
    assert "secret-folder" not in page
    assert str(Path.home()) not in page
    assert "stories" in page


def test_the_page_loads_nothing(page: str) -> None:
    assert not re.search(r"(src|href)=\"(?!#)", page)
    assert not re.search(r"url\((?!#)", page)
    assert "@import" not in page


def test_the_report_tells_gain_speed_energy_and_cost(page: str) -> None:
    said = re.sub(r"\s+", " ", text_of(page))
    for figure in (
        "1.5000 -> 1.2000 nats per byte (20.0% less)",
        "1:05",
        "MFU 31%",
        "2.0 GB",
        "0.012 kWh",
        "measured by the hardware's counters",
        "5.7 g",
        "Germany",
        "0.0036 EUR",
    ):
        assert figure in said, figure


def test_samples_stand_side_by_side_before_and_after(page: str) -> None:
    (pair,) = BeautifulSoup(page, "lxml").select(".sample")
    before, after = pair.select(".text")
    assert before.get_text().startswith("gibberish")
    assert after.get_text().startswith("a story")


def test_the_curve_takes_its_colours_from_the_page(outcome: Outcome) -> None:
    drawn = curve.svg(outcome.history, (6.0, 4.0))
    assert drawn.startswith("<svg")
    assert "var(--accent)" in drawn
    # What is left is black by default, on nothing that is painted.
    assert set(re.findall(r"#[0-9a-f]{6}\b", drawn)) <= {"#000000"}


def test_two_curves_on_a_page_share_no_id(page: str) -> None:
    soup = BeautifulSoup(page, "lxml")
    clips = [tag["id"] for tag in soup.select("clipPath, clippath")]
    assert clips
    assert len(clips) == len(set(clips))


def test_the_curve_is_a_png_of_1600_by_1000(outcome: Outcome, tmp_path: Path) -> None:
    curve.write_png(outcome.history, tmp_path / "loss.png")
    content = (tmp_path / "loss.png").read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", content[16:24]) == (1600, 1000)


def test_a_run_without_a_single_logged_loss_still_has_a_curve(tmp_path: Path) -> None:
    curve.write_png(History.of([], 3), tmp_path / "loss.png")
    assert (tmp_path / "loss.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("energy", "price", "said"),
    [
        (MEASURED, None, "0.012 kWh (measured), 5.7 g CO2e (Germany)"),
        (MEASURED, 0.3, "0.012 kWh (measured), 5.7 g CO2e (Germany), 0.0036 EUR"),
        (
            Energy(0.0000662, 0.0000314, "estimated", region="world average"),
            None,
            "0.000066 kWh (estimated), 0.031 g CO2e (world average)",
        ),
        (
            Energy(1234.0, 586.0, "estimated", region="world average"),
            0.25,
            "1,200 kWh (estimated), 590 kg CO2e (world average), 310 EUR",
        ),
        (Energy(), 0.3, "energy not measured on this machine"),
    ],
)
def test_energy_is_said_with_what_it_rests_on(
    energy: Energy, price: float | None, said: str
) -> None:
    assert energy_said(energy, EnergyChoices(price_per_kwh=price)) == said


def test_the_last_lines_name_gain_speed_energy_and_the_report(outcome: Outcome) -> None:
    screen = io.StringIO()
    page = Path("/somewhere/long/enough/to/be/wrapped/if/that/were/done/in/80/columns/report.html")
    print_closing(outcome, page, Console(file=screen, width=80))
    lines = screen.getvalue().splitlines()
    assert len(lines) == 4
    assert "1.5000 -> 1.2000" in lines[0]
    assert "1:05" in lines[1]
    assert "0.012 kWh (measured)" in lines[2]
    assert lines[3] == f"  report: {page}"


FULL = Figures(
    step=123_456,
    steps=234_567,
    loss=12.345,
    heldout=1.2345,
    tokens_per_second=123_456.0,
    mfu=0.38,
    seconds_left=12_345.0,
    peak_memory_bytes=123_400_000_000,
    doing="measuring held-out loss",
)


def test_the_bar_fits_80_columns_with_every_figure_in_it() -> None:
    screen = io.StringIO()
    console = Console(file=screen, width=80, force_terminal=True, color_system=None)
    bar = Bar(console, FULL.steps)
    bar.start()
    bar.show(FULL)
    bar.close()
    lines = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen.getvalue()).splitlines()
    assert max(map(len, lines)) <= 80
    assert "measuring held-out loss" in lines[-2]
    assert lines[-2].endswith("123456/234567, 3:25:45 left")
    for figure in ("12.345", "1.2345", "123,456", "38%", "123 GB"):
        assert figure in lines[-1]


def test_a_log_has_a_line_for_each_tenth() -> None:
    screen = io.StringIO()
    bar = Bar(Console(file=screen, width=80), 95)
    bar.start()
    for step in range(96):
        bar.show(replace(FULL, step=step, steps=95))
    bar.close()
    lines = screen.getvalue().splitlines()
    assert len(lines) == 10
    assert lines[-1].startswith("  step 95/95  loss 12.345")


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0:00"), (59.2, "1:00"), (61, "1:01"), (3723, "1:02:03")]
)
def test_a_duration_is_said_in_hours_minutes_and_seconds(seconds: float, said: str) -> None:
    assert duration(seconds) == said
