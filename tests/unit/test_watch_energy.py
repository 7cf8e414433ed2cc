"""Energy: labels, going on across attempts, and that no failure of the meter reaches a run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from lmft.errors import RecipeError
from lmft.train.watch.energy import Energy, EnergyMeter
from lmft.train.watch.trackers import require_trackers, tracker_callbacks
from tests.conftest import ROOT

ONE = Energy(1.0, 0.5, "measured", 0.5, 0.25, 0.25, "Germany")


def read(kwh: float, gpu: float = 0.0) -> SimpleNamespace:
    """Sums as codecarbon hands them on."""
    return SimpleNamespace(
        energy_consumed=kwh, emissions=kwh / 2, cpu_energy=kwh, gpu_energy=gpu, ram_energy=0.0
    )


def test_one_estimated_attempt_makes_the_run_an_estimate() -> None:
    both = ONE.plus(Energy(2.0, 1.0, "estimated", 1.0, 0.5, 0.5, "Germany"))
    assert (both.kwh, both.co2_kg, both.source) == (3.0, 1.5, "estimated")
    assert (both.cpu_kwh, both.gpu_kwh, both.memory_kwh) == (1.5, 0.75, 0.75)
    assert ONE.plus(ONE).source == "measured"


def test_what_could_not_be_measured_takes_nothing_from_what_could() -> None:
    assert ONE.plus(Energy()) == ONE
    assert Energy().plus(ONE) == ONE


def test_a_resumed_run_goes_on_from_the_energy_of_earlier_attempts(tmp_path: Path) -> None:
    file = tmp_path / "energy.json"
    ONE.write(file)
    meter = EnergyMeter(file, "DEU", "cpu", resumed=True)
    assert meter.total == ONE
    meter.live_out(read(0.25), None)
    meter.out(read(0.5), None)
    assert meter.total.kwh == 1.5
    assert Energy.read(file) == meter.total
    assert EnergyMeter(file, "DEU", "cpu", resumed=False).total == Energy()


def test_a_broken_energy_file_is_no_reason_to_stop(tmp_path: Path) -> None:
    file = tmp_path / "energy.json"
    for content in ("", "{", "[]", '{"watts": 3}'):
        file.write_text(content)
        assert Energy.read(file) == Energy()


@pytest.mark.parametrize(
    ("device", "cpu_is_read", "gpu", "source"),
    [
        ("cpu", True, 0.0, "measured"),
        ("cpu", False, 0.0, "estimated"),
        ("cuda", True, 0.4, "measured"),
        ("cuda", True, 0.0, "estimated"),
        ("cuda", False, 0.4, "estimated"),
    ],
)
def test_measured_is_only_said_where_every_counter_was_read(
    tmp_path: Path, device: str, cpu_is_read: bool, gpu: float, source: str
) -> None:
    meter = EnergyMeter(tmp_path / "energy.json", "", device, resumed=False)
    meter._cpu_is_read = cpu_is_read
    meter.out(read(0.5, gpu), None)
    assert meter.total.source == source


REAL = """
import sys, time
from pathlib import Path
from lmft.train.watch.energy import EnergyMeter
with EnergyMeter(Path(sys.argv[1]) / "energy.json", sys.argv[2], "cpu", resumed=False) as meter:
    meter._starting.join()
    time.sleep(0.2)
print(meter.total.region, meter.total.source, meter.total.kwh > 0, meter.total.co2_kg > 0)
"""


@pytest.mark.parametrize(("country", "region"), [("DEU", "Germany"), ("", "world average")])
def test_the_real_tracker_says_nothing_and_leaves_one_file(
    tmp_path: Path, country: str, region: str
) -> None:
    """Also with a configuration in which the person has asked codecarbon to send everything."""
    (tmp_path / ".codecarbon.config").write_text(
        "[codecarbon]\nsave_to_api=true\nemissions_endpoint=http://127.0.0.1:9\n"
        "electricitymaps_api_token=abc\nlog_level=debug\n"
    )
    run = tmp_path / "run"
    run.mkdir()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", REAL, str(run), country],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
        timeout=300,
    )
    assert done.returncode == 0
    assert done.stderr == ""
    said, source, *positive = done.stdout.rsplit(maxsplit=3)
    assert (said, positive) == (region, ["True", "True"])
    assert source in ("measured", "estimated")
    assert {file.name for file in tmp_path.rglob("*") if file.is_file()} == {
        ".codecarbon.config",
        "energy.json",
    }
    assert json.loads((run / "energy.json").read_text())["source"] == source


def test_a_meter_that_cannot_start_measures_nothing_and_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    # None in sys.modules makes the import fail, as a broken installation would.
    monkeypatch.setitem(sys.modules, "codecarbon", None)
    with EnergyMeter(tmp_path / "energy.json", "DEU", "cpu", resumed=False) as meter:
        pass
    assert meter.total == Energy()
    assert capfd.readouterr() == ("", "")


def test_a_tracker_that_is_not_installed_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("lmft.train.watch.trackers.find_spec", lambda name: None)
    with pytest.raises(RecipeError, match="wandb and mlflow, which are not installed") as refused:
        require_trackers(("wandb", "mlflow"))
    assert "pip install wandb mlflow" in refused.value.hint
    assert tracker_callbacks((), tmp_path) == []
