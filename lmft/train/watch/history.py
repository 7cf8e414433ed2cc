"""What a run has come to, read from its rows: losses against tokens, before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lmft.train.watch.journal import Row
from lmft.train.watch.rate import Smoothed

Point = tuple[int, float]


@dataclass(frozen=True)
class History:
    """Points are (tokens so far, value).

    Attributes:
        losses: of training, nats per token, as logged. smoothed: their moving average.
        heldout: nats per byte, always over the same documents. is_partial: not over all of them.
        before, after: the first and the last of them, over all held-out documents; None where
            it was not measured (yet).
    """

    losses: tuple[Point, ...]
    smoothed: tuple[Point, ...]
    heldout: tuple[Point, ...]
    is_partial: bool
    before: float | None
    after: float | None

    @classmethod
    def of(cls, rows: Sequence[Row], steps: int) -> History:
        """
        Args:
            rows: of metrics.jsonl. steps: of the whole run.
        """
        losses = [(row["tokens"], row["loss"]) for row in rows if "loss" in row]
        average = Smoothed()
        measured = [row for row in rows if "heldout_loss" in row]
        whole = {row["step"]: row.get("heldout_loss_all", row["heldout_loss"]) for row in measured}
        return cls(
            tuple(losses),
            tuple((tokens, average.add(loss)) for tokens, loss in losses),
            tuple((row["tokens"], row["heldout_loss"]) for row in measured),
            any("heldout_loss_all" in row for row in measured),
            whole.get(0),
            whole.get(steps),
        )
