"""The last lines of a training in the terminal: what it gained, what it took, where to look."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from lmft.train.watch.report import Outcome, energy_said, loss_said, speed_said


def print_closing(outcome: Outcome, page: Path, console: Console) -> None:
    for line in (
        f"held-out loss: {loss_said(outcome)}",
        speed_said(outcome),
        energy_said(outcome.energy, outcome.job.recipe.energy),
        f"report: {page}",
    ):
        console.print(f"  {line}", highlight=False, markup=False, soft_wrap=True)
