"""Adapters on the terminal."""

from __future__ import annotations

import json

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lmft.registry.adapters import get_adapter, list_adapters, verify


def list_shown(console: Console) -> None:
    adapters = list_adapters()
    if not adapters:
        console.print("No adapters yet. Train one: lmft train adventure")
        return
    table = Table(box=None, pad_edge=False)
    for title in ("id", "kind", "trained", "nats per byte"):
        table.add_column(title, no_wrap=title == "id")
    for adapter in adapters:
        training = adapter.manifest.training
        table.add_row(
            str(adapter.id),
            adapter.contract.kind,
            adapter.manifest.created_at.astimezone().strftime("%Y-%m-%d %H:%M"),
            f"{training.heldout_before:.3f} -> {training.heldout_after:.3f}",
        )
    console.print(table)


def show(name: str, console: Console) -> None:
    """Facts, format and samples of one adapter; its files are verified first."""
    adapter = get_adapter(name)
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
    for label, value in facts.items():
        console.print(f"[bold]{label:>10}[/]  ", Text(value), sep="", soft_wrap=True)
    lines = (adapter.path / "samples.jsonl").read_text(encoding="utf-8").strip().split("\n")
    for sample in map(json.loads, lines):
        console.print()
        console.print(Text(sample["prompt"], style="dim"), Text(sample["text"]), sep="")
