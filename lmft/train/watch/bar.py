"""The progress of a training: two live lines in a terminal, a line per tenth in a log."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from lmft.report.plain import size

_REFRESHES_PER_SECOND = 4
_TENTHS = 10


@dataclass(frozen=True)
class Figures:
    """What is known at a step; None is not known yet, or not here.

    Attributes:
        loss: smoothed, in nats per token. heldout: in nats per byte.
        mfu: a share in 0..1. seconds_left: until the last step.
        doing: what goes on, where it is not training.
    """

    step: int
    steps: int
    loss: float | None = None
    heldout: float | None = None
    tokens_per_second: float | None = None
    mfu: float | None = None
    seconds_left: float | None = None
    peak_memory_bytes: int = 0
    doing: str = "training"


class Bar:
    """Shows figures; `close` leaves the last of them on the screen."""

    def __init__(self, console: Console, steps: int) -> None:
        self._console = console
        self.figures = Figures(0, steps)
        self._live = Live(
            get_renderable=self._lines,
            console=console,
            refresh_per_second=_REFRESHES_PER_SECOND,
            auto_refresh=console.is_terminal,
        )

    def start(self) -> None:
        if self._console.is_terminal:
            self._live.start()

    def show(self, figures: Figures) -> None:
        """The figures of a step: at once on a terminal; in a log when a tenth is full."""
        before, self.figures = self.figures, figures
        if not self._console.is_terminal and _tenth(figures) > _tenth(before):
            said = ", ".join([*_said(figures), *_left(figures)])
            self._console.print(
                f"  step {figures.step}/{figures.steps}  {said}", highlight=False, soft_wrap=True
            )

    def doing(self, what: str) -> None:
        """Say what goes on now, where it is not training."""
        self.figures = replace(self.figures, doing=what)

    def close(self) -> None:
        self._live.stop()

    def _lines(self) -> RenderableType:
        figures = self.figures
        line = Table.grid(padding=(0, 1))
        for ratio in (None, 1, None):
            line.add_column(no_wrap=True, ratio=ratio)
        line.expand = True
        line.add_row(
            f"  {figures.doing}",
            ProgressBar(total=figures.steps, completed=figures.step),
            ", ".join([f"{figures.step}/{figures.steps}", *_left(figures)]),
        )
        text = Text(f"  {', '.join(_said(figures))}", no_wrap=True, overflow="ellipsis")
        return Group(line, text)


def _tenth(figures: Figures) -> int:
    return _TENTHS * figures.step // figures.steps


def _said(figures: Figures) -> Iterator[str]:
    """The most wanted first: a narrow terminal cuts the last."""
    if figures.loss is not None:
        yield f"loss {figures.loss:.3f}"
    if figures.heldout is not None:
        yield f"held-out {figures.heldout:.4f}"
    if figures.tokens_per_second is not None:
        yield f"{figures.tokens_per_second:,.0f} tok/s"
    if figures.mfu is not None:
        yield f"MFU {figures.mfu:.0%}"
    if figures.peak_memory_bytes:
        yield f"peak {size(figures.peak_memory_bytes)}"


def _left(figures: Figures) -> Iterator[str]:
    if figures.seconds_left is not None:
        yield f"{duration(figures.seconds_left)} left"


def duration(seconds: float) -> str:
    """`0:42`, `1:02:03`."""
    minutes, seconds = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
