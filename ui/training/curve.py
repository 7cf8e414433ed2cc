"""The loss curve as HTML: a stretched drawing with its numbers beside it as text, so that they are
as large as any other on a phone too. Colours are the page's own, by day and night."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from ui import text_train as text

Point = tuple[int, float]

_WIDTH, _HEIGHT = 1000.0, 300.0
_MAX_POINTS = 400
_TICKS = 4
# Of the older average; the first points weigh more, or the line would begin at nought.
_MEMORY = 0.9


def figures(rows: Sequence[Mapping[str, Any]], steps: int | None) -> str:
    """Training loss, and the loss on held-out text below it.

    Args:
        rows: of metrics, by step. steps: of the whole training, where known.
    """
    losses = [(int(row["step"]), float(row["loss"])) for row in rows if _has(row, "loss")]
    heldout = [
        (int(row["step"]), float(row["heldout_loss"])) for row in rows if _has(row, "heldout_loss")
    ]
    if not losses and not heldout:
        return f'<p class="hint" data-testid="curve" data-points="0">{escape(text.CURVE_EMPTY)}</p>'
    last = max(step for step, _ in [*losses, *heldout])
    most = max(steps or 0, last, 1)
    inside = ""
    if losses:
        inside += _figure(text.LOSS, most, losses, smoothed(losses), dots=False)
    if heldout:
        inside += _figure(text.HELDOUT, most, [], heldout, dots=True)
    count = len(losses)
    hint = f'<p class="note">{escape(text.CURVE_HINT)}</p>'
    return (
        f'<div class="curves" data-testid="curve" data-points="{count}"'
        f' data-measured="{len(heldout)}">{inside}</div>{hint}'
    )


def smoothed(points: Sequence[Point]) -> list[Point]:
    """Its moving average."""
    total = weight = 0.0
    made = []
    for step, value in points:
        total, weight = _MEMORY * total + value, _MEMORY * weight + 1
        made.append((step, total / weight))
    return made


def thinned(points: Sequence[Point]) -> list[Point]:
    """Of very many points every so-and-so-many-th, and the last."""
    every = -(-len(points) // _MAX_POINTS) or 1
    return [*points[:-1:every], *points[-1:]]


def ticks(low: float, high: float) -> list[float]:
    """Round numbers between both, about four."""
    span = (high - low) or abs(high) or 1.0
    rough = span / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [n * step for n in range(first, math.floor(high / step + 1e-9) + 1)]


def _figure(
    title: str, most: int, pale: Sequence[Point], line: Sequence[Point], *, dots: bool
) -> str:
    values = [value for _, value in (*pale, *line)]
    low, high = min(values), max(values)
    margin = 0.08 * (high - low) or 0.1
    low, high = low - margin, high + margin

    def place(point: Point) -> tuple[float, float]:
        return point[0] / most * _WIDTH, (high - point[1]) / (high - low) * _HEIGHT

    marks = ticks(low, high)
    grid = "".join(
        f'<path class="grid" d="M0 {place((0, mark))[1]:.1f}H{_WIDTH:.0f}"/>' for mark in marks
    )
    drawn = (_path("pale", pale, place) if pale else "") + _path("line", line, place)
    if dots:
        # A stroke without length is a round dot, however the drawing is stretched.
        drawn += "".join(f'<path class="dot" d="M{x:.1f} {y:.1f}h0"/>' for x, y in map(place, line))
    first, last = line[0], line[-1]
    said = text.CURVE_SAID.format(title=title, first=first[1], last=last[1], step=last[0])
    now = text.CURVE_NOW.format(first=first[1], last=last[1])
    digits = max(0, 1 - math.floor(math.log10(marks[1] - marks[0]))) if len(marks) > 1 else 2
    numbers = "".join(
        f'<span style="top:{place((0, mark))[1] / _HEIGHT:.1%}">{mark:.{min(digits, 4)}f}</span>'
        for mark in marks
    )
    return (
        f'<figure class="curve" role="img" aria-label="{escape(said)}">'
        f"<figcaption>{escape(title)}<b>{escape(now)}</b></figcaption>"
        f'<div class="plot"><div class="numbers" aria-hidden="true">{numbers}</div>'
        f'<svg viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" preserveAspectRatio="none"'
        f' aria-hidden="true">{grid}{drawn}</svg></div>'
        f'<div class="axis" aria-hidden="true"><span>0</span>'
        f"<span>{escape(text.STEPS_AXIS.format(steps=most))}</span></div></figure>"
    )


def _path(name: str, points: Sequence[Point], place: Any) -> str:
    pairs = " ".join(f"{x:.1f} {y:.1f}" for x, y in map(place, thinned(points)))
    return f'<path class="{name}" d="M{pairs}"/>'


def _has(row: Mapping[str, Any], key: str) -> bool:
    value = row.get(key)
    return isinstance(value, int | float) and math.isfinite(value)
