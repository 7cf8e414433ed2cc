"""Energy of a run by codecarbon's offline tracker: kWh and CO2, measured or estimated.

The tracker looks every few seconds, from a thread of its own, at the counters of the hardware
(RAPL for the processor, NVML for GPUs) or, where the system hides them, at the ratings and the
load. It counts the whole machine. No network, no files of its own, no words; if it fails, the
run goes on and nothing is said to be measured.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

_SECONDS = 5
_STOP_SECONDS = 30
Source = Literal["measured", "estimated"]


@dataclass(frozen=True)
class Energy:
    """What a run took, all attempts at it together.

    Attributes:
        kwh: None where nothing could be known. co2_kg: CO2 equivalents of the electricity.
        source: `measured` only if the counters of all processors and GPUs were read. (Memory has
            no counter: its small share is always estimated.)
        cpu_kwh, gpu_kwh, memory_kwh: the parts of kwh.
        region: whose electricity: a country's name, or the world's average.
    """

    kwh: float | None = None
    co2_kg: float | None = None
    source: Source | None = None
    cpu_kwh: float = 0.0
    gpu_kwh: float = 0.0
    memory_kwh: float = 0.0
    region: str = ""

    def plus(self, earlier: Energy) -> Energy:
        """With what earlier attempts took; one estimate makes the sum an estimate."""
        if self.kwh is None or earlier.kwh is None:
            return earlier if self.kwh is None else self
        both_measured = self.source == earlier.source == "measured"
        return replace(
            self,
            kwh=self.kwh + earlier.kwh,
            co2_kg=(self.co2_kg or 0.0) + (earlier.co2_kg or 0.0),
            source="measured" if both_measured else "estimated",
            cpu_kwh=self.cpu_kwh + earlier.cpu_kwh,
            gpu_kwh=self.gpu_kwh + earlier.gpu_kwh,
            memory_kwh=self.memory_kwh + earlier.memory_kwh,
        )

    @classmethod
    def read(cls, file: Path) -> Energy:
        """What earlier attempts wrote; nothing where there is none that can be read."""
        try:
            return cls(**json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return cls()

    def write(self, file: Path) -> None:
        made = file.with_name(f".{file.name}")
        made.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
        os.replace(made, file)


class EnergyMeter:
    """Runs while it is entered; `total` is kept in a file every few seconds."""

    def __init__(self, file: Path, country: str, device: str, *, resumed: bool) -> None:
        """
        Args:
            country: three letters (ISO 3166); empty takes the world's average CO2 per kWh.
            device: `cuda` or `cpu`: whose counters must be read for `measured`.
        """
        self._file = file
        self._country = country
        self._device = device
        self._earlier = Energy.read(file) if resumed else Energy()
        self.total = self._earlier
        self._tracker: Any = None
        self._region = ""
        self._cpu_is_read = False
        self._starting = threading.Thread(target=self._start, name="energy", daemon=True)

    def __enter__(self) -> Self:
        # Looking at the hardware takes seconds, mostly of waiting.
        self._starting.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._starting.join(_STOP_SECONDS)
        # In a thread, since codecarbon waits for ever for a timer of its own that could not start
        # for want of memory; nor may this one be able to.
        stopping = threading.Thread(target=self._stop, name="energy", daemon=True)
        with contextlib.suppress(RuntimeError, MemoryError):
            stopping.start()
            stopping.join(_STOP_SECONDS)

    def _stop(self) -> None:
        if self._tracker is not None:
            with contextlib.suppress(Exception):
                self._tracker.stop()

    def _start(self) -> None:
        # Whatever a library does that reads counters of foreign hardware: training goes on.
        with contextlib.suppress(Exception):
            from codecarbon import OfflineEmissionsTracker
            from codecarbon.core.cpu import is_rapl_available
            from codecarbon.input import DataSource

            # It hangs a handler on its logger at import, and another one later.
            logging.getLogger("codecarbon").disabled = True
            self._cpu_is_read = is_rapl_available()
            known = DataSource().get_global_energy_mix_data()
            self._region = known.get(self._country, {}).get("country_name", "world average")
            tracker = OfflineEmissionsTracker(
                country_iso_code=self._country if self._country in known else None,
                measure_power_secs=_SECONDS,
                api_call_interval=1,
                output_dir=str(self._file.parent),
                output_handlers=[self],
                # A person's .codecarbon.config could name what sends: these stand above it.
                output_methods=[],
                emissions_endpoint=None,
                electricitymaps_api_token="",
                cloud_provider=None,
                log_level="critical",
                allow_multiple_runs=True,
            )
            tracker.start()
            self._tracker = tracker

    # What codecarbon calls with its sums, every few seconds and at the end.
    def live_out(self, total: Any, delta: Any) -> None:
        self.out(total, delta)

    def out(self, total: Any, delta: Any) -> None:
        now = Energy(
            kwh=total.energy_consumed,
            co2_kg=total.emissions,
            source=self._source(total),
            cpu_kwh=total.cpu_energy,
            gpu_kwh=total.gpu_energy,
            memory_kwh=total.ram_energy,
            region=self._region,
        )
        self.total = now.plus(self._earlier)
        # A full disk stops the training where it writes what matters.
        with contextlib.suppress(OSError):
            self.total.write(self._file)

    def exit(self) -> None:
        """codecarbon's word for being done."""

    def _source(self, total: Any) -> Source:
        gpus_are_read = self._device == "cpu" or total.gpu_energy > 0
        return "measured" if gpus_are_read and self._cpu_is_read else "estimated"
