"""What a run came to, in figures and in words: for the page, the terminal and the model card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lmft.report.plain import rounded, size
from lmft.train.prepare import Job
from lmft.train.recipe import Energy as EnergyChoices
from lmft.train.watch.bar import duration
from lmft.train.watch.energy import Energy
from lmft.train.watch.history import History
from lmft.train.watch.journal import Row


@dataclass(frozen=True)
class Outcome:
    """A finished run.

    Attributes:
        seconds: of training, without evaluations.
        mfu: over the whole run, a share in 0..1; None where the hardware's peak is not known.
        samples: rows of samples.jsonl.
    """

    job: Job
    history: History
    samples: Sequence[Row]
    seconds: float
    mfu: float | None
    peak_memory_bytes: int
    energy: Energy

    @property
    def tokens_per_second(self) -> float:
        return self.job.plan.tokens / self.seconds if self.seconds else 0.0


def loss_said(outcome: Outcome) -> str:
    """`1.1455 -> 1.0485 nats per byte (8.5% less)`."""
    before, after = outcome.history.before, outcome.history.after
    if not before or after is None:
        return "not measured"
    change = 1 - after / before
    return (
        f"{before:.4f} -> {after:.4f} nats per byte "
        f"({abs(change):.1%} {'less' if change >= 0 else 'more'})"
    )


def speed_said(outcome: Outcome) -> str:
    """Time, tokens a second, MFU where it is known, peak memory."""
    said = [
        f"{duration(outcome.seconds)} for {outcome.job.plan.tokens:,} tokens",
        f"{outcome.tokens_per_second:,.0f} tokens/s",
    ]
    if outcome.mfu is not None:
        said.append(f"MFU {outcome.mfu:.0%}")
    if outcome.peak_memory_bytes:
        said.append(f"peak {size(outcome.peak_memory_bytes)}")
    return ", ".join(said)


def energy_said(energy: Energy, choices: EnergyChoices) -> str:
    """Energy, CO2, and the cost where the recipe has a price; each with what it rests on."""
    if energy.kwh is None or energy.co2_kg is None:
        return "energy not measured on this machine"
    said = f"{kwh_said(energy.kwh)} ({energy.source}), {co2_said(energy.co2_kg)} CO2e"
    said += f" ({energy.region})" if energy.region else ""
    cost = cost_said(energy, choices)
    return f"{said}, {cost}" if cost else said


def cost_said(energy: Energy, choices: EnergyChoices) -> str:
    """What the electricity cost; empty without energy or a price."""
    if energy.kwh is None or choices.price_per_kwh is None:
        return ""
    return f"{rounded(energy.kwh * choices.price_per_kwh)} {choices.currency}"


def kwh_said(kwh: float) -> str:
    return f"{rounded(kwh)} kWh"


def co2_said(kilograms: float) -> str:
    return f"{rounded(kilograms)} kg" if kilograms >= 1 else f"{rounded(kilograms * 1000)} g"
