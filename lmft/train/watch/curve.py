"""The loss curve: training loss above, held-out loss below, against the tokens so far."""

from __future__ import annotations

import io
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lmft.train.watch.history import History, Point

# The colours of lmft.report.style in its light form; on the page each becomes its variable.
_PAPER, _INK, _FAINT, _RULE, _ACCENT = "#faf8f3", "#24211c", "#655e53", "#dfd9cc", "#0f766e"
_VARIABLES = {_INK: "--ink", _FAINT: "--faint", _RULE: "--rule", _ACCENT: "--accent"}
_MAX_POINTS = 400
_STYLE: dict[Any, Any] = {
    "font.size": 10,
    "font.family": "sans-serif",
    "svg.fonttype": "none",
    "text.color": _INK,
    "axes.edgecolor": _RULE,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.titlecolor": _INK,
    "axes.labelcolor": _FAINT,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": _RULE,
    "grid.linewidth": 0.8,
    "xtick.color": _RULE,
    "ytick.color": _RULE,
    "xtick.labelcolor": _FAINT,
    "ytick.labelcolor": _FAINT,
    "ytick.major.size": 0,
}


def write_png(history: History, file: Path) -> None:
    """The curve as a picture of 1600 x 1000 pixels on a light background."""
    file.write_bytes(_drawn(history, (8.0, 5.0), format="png", dpi=200, facecolor=_PAPER))


def svg(history: History, inches: tuple[float, float]) -> str:
    """The curve as an element of a page, in the page's own colours, light or dark.

    Args:
        inches: width and height, at 72 points.
    """
    # Ids are hashed with the size: two curves on a page have none in common.
    salt = f"{inches[0]}x{inches[1]}"
    made = _drawn(history, inches, salt, format="svg", transparent=True, metadata={"Date": None})
    text = made.decode("utf-8")
    text = text[text.index("<svg") :]
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var({variable})")
    return text


def _drawn(history: History, inches: tuple[float, float], salt: str = "", **how: Any) -> bytes:
    # It says on stderr that it looks for fonts, the first time on a machine.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    import matplotlib
    from matplotlib.figure import Figure

    buffer = io.BytesIO()
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": salt}):
        figure = Figure(figsize=inches, layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        _draw_training(above, history)
        _draw_heldout(below, history)
        figure.savefig(buffer, **how)
    return buffer.getvalue()


def _draw_training(axes: Any, history: History) -> None:
    axes.set_title("Training loss, nats per token (pale: as logged)")
    axes.plot(*_columns(history.losses), color=_ACCENT, alpha=0.3, linewidth=0.8)
    axes.plot(*_columns(history.smoothed), color=_ACCENT, linewidth=1.8)
    axes.locator_params(axis="y", nbins=5)


def _draw_heldout(axes: Any, history: History) -> None:
    part = " (some documents)" if history.is_partial else ""
    axes.set_title(f"Held-out loss, nats per byte{part}")
    tokens, values = _columns(history.heldout)
    axes.plot(tokens, values, color=_INK, linewidth=1.4, marker="o", markersize=4.5)
    for place in sorted({0, len(values) - 1}) if values else []:
        axes.annotate(
            f"{values[place]:.4f}",
            (tokens[place], values[place]),
            xytext=(0, 7),
            textcoords="offset points",
            ha="left" if place == 0 else "right",
            color=_INK,
        )
    axes.margins(y=0.3)
    axes.locator_params(axis="y", nbins=3)
    axes.set_xlabel("Tokens")
    axes.xaxis.set_major_formatter(lambda value, _: _short(value))
    axes.locator_params(axis="x", nbins=6)


def _columns(points: Sequence[Point]) -> tuple[list[int], list[float]]:
    """Tokens and values; of very many points every so-and-so-many-th, and the last."""
    every = -(-len(points) // _MAX_POINTS) or 1
    shown = [*points[:-1:every], *points[-1:]]
    return [tokens for tokens, _ in shown], [value for _, value in shown]


def _short(tokens: float) -> str:
    """`0`, `20k`, `1.5M`."""
    for unit, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if tokens >= unit:
            return f"{tokens / unit:g}{letter}"
    return f"{tokens:g}"
