"""Adapters on the terminal."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lmft.registry.adapters import Adapter, checkpoints_of, list_adapters, verify
from lmft.registry.traffic import WINDOWS, Summary, Traffic
from lmft.registry.traffic_files import read_traffic

_LABEL_WIDTH = 10


def list_shown(live: Collection[str], console: Console) -> None:
    """All adapters, newest first. `live`: ids of the versions that aliases mean."""
    adapters = list_adapters()
    if not adapters:
        console.print("No adapters yet. Train one: lmft train adventure")
        return
    table = Table(box=None, pad_edge=False)
    for title in ("id", "kind", "trained", "nats per byte", "live"):
        table.add_column(title, no_wrap=title == "id")
    for adapter in adapters:
        training = adapter.manifest.training
        table.add_row(
            str(adapter.id),
            adapter.contract.kind,
            adapter.manifest.created_at.astimezone().strftime("%Y-%m-%d %H:%M"),
            f"{training.heldout_before:.3f} -> {training.heldout_after:.3f}",
            "live" if str(adapter.id) in live else "",
        )
    console.print(table)


def show(adapter: Adapter, console: Console) -> None:
    """Facts, format, traffic and samples of one adapter; its files are verified first."""
    verify(adapter)
    manifest, contract = adapter.manifest, adapter.contract
    facts = {
        "id": str(adapter.id),
        "directory": str(adapter.path),
        "base": f"{manifest.base}, served as {manifest.variant}",
        "LoRA": f"rank {manifest.rank}, {manifest.quantization}",
        "method": f"{manifest.method}, "
        + (f"continued from {manifest.parent}" if manifest.parent else "from the base"),
        "trained": f"{manifest.training.steps} steps, {manifest.training.tokens:,} tokens, "
        f"{manifest.training.seconds:.0f} s on {manifest.training.device}",
        "held-out": f"{manifest.training.heldout_before:.4f} -> "
        f"{manifest.training.heldout_after:.4f} nats per byte",
        "format": f"{contract.kind}, stops at {', '.join(map(repr, contract.stop))}",
        "corpus": manifest.corpus_hash[:16],
        "weights": f"{manifest.adapter_hash[:16]} (all files verified)",
    }
    if kept := [str(one.id) for one in checkpoints_of(adapter.id)]:
        facts["kept"] = ", ".join(kept)
    for label, value in facts.items():
        console.print(f"[bold]{label:>{_LABEL_WIDTH}}[/]  ", Text(value), sep="", soft_wrap=True)
    if traffic := read_traffic(str(adapter.id)):
        console.print()
        _show_traffic(traffic, console)
    lines = (adapter.path / "samples.jsonl").read_text(encoding="utf-8").strip().split("\n")
    for sample in map(json.loads, lines):
        console.print()
        console.print(Text(sample["prompt"], style="dim"), Text(sample["text"]), sep="")


def _show_traffic(traffic: Traffic, console: Console) -> None:
    """What the server has counted, as it was when it last wrote it down."""
    now = time.time()
    windows = [traffic.summary(window, now) for window in WINDOWS]
    since = time.strftime("%Y-%m-%d %H:%M", time.localtime(traffic.since))
    table = Table(box=None, pad_edge=False, title_justify="left", header_style="bold")
    table.add_column("traffic", justify="right", min_width=_LABEL_WIDTH + 20)
    for title in ("last hour", "last day", f"since {since}"):
        table.add_column(title, justify="right", min_width=10)
    for label, figures in _rows(traffic.heldout_logprob).items():
        table.add_row(label, *map(figures, windows))
    console.print(table)


def _rows(heldout: float | None) -> dict[str, Callable[[Summary], str]]:
    rows: dict[str, Callable[[Summary], str]] = {
        "requests": lambda window: f"{window.requests:,}",
        "of these failed": lambda window: f"{window.failed:,}",
        "given up by the client": lambda window: f"{window.aborted:,}",
        "requests a minute": lambda window: f"{window.requests_per_minute:,.2f}",
        "tokens a minute": lambda window: f"{window.tokens_per_minute:,.1f}",
        "tokens a reply": lambda window: _figure(window.reply_tokens, "{:.1f}"),
        "replies that end by themselves": lambda window: _figure(window.stop_rate, "{:.1%}"),
        "cut by the length limit": lambda window: _figure(window.length_rate, "{:.1%}"),
        "that repeat themselves": lambda window: _figure(window.loop_rate, "{:.1%}"),
        "nats a token of sampled replies": lambda window: _figure(window.logprob, "{:+.3f}"),
        "their mean temperature": lambda window: _figure(window.temperature, "{:.2f}"),
    }
    if heldout is not None:
        against = f"against held-out text ({heldout:+.3f})"
        rows[against] = lambda window: _figure(window.drift, "{:+.3f}")
    return rows


def _figure(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)
