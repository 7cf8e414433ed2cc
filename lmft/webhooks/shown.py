"""Webhooks on the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lmft.store.database import open_store
from lmft.webhooks import sender
from lmft.webhooks.endpoints import Endpoint, Endpoints


def add(url: str, project: str, console: Console) -> None:
    """Name an address and print its secret, the only time that it is shown."""
    made = Endpoints(open_store()).add(url, project)
    console.print(f"{made.id} hears of every job of project {project} that ends.", highlight=False)
    console.print("Its secret, for OPENAI_WEBHOOK_SECRET; it is not shown again:")
    # For `$(lmft webhooks add URL | tail -1)`: the last line is the secret and nothing else.
    print(made.secret)


def list_shown(console: Console) -> None:
    found = Endpoints(open_store()).all()
    if not found:
        console.print("No webhooks. Name an address: lmft webhooks add URL")
        return
    table = Table(box=None, pad_edge=False)
    for title in ("id", "project", "url", "events"):
        table.add_column(title, no_wrap=title in ("id", "project"), overflow="fold")
    for one in found:
        table.add_row(one.id, one.project, Text(one.url), Text(_became(one)))
    console.print(table)


def remove(id: str, console: Console) -> None:
    gone = Endpoints(open_store()).remove(id)
    console.print(f"Removed {gone.id}: nothing is sent to", Text(gone.url), "any more.")


def send_test(id: str, console: Console) -> None:
    endpoint = Endpoints(open_store()).get(id)
    sender.send_test(endpoint)
    console.print(Text(endpoint.url), "took the event.")


def _became(endpoint: Endpoint) -> str:
    words = f"{endpoint.delivered} delivered"
    for number, what in ((endpoint.waiting, "waiting"), (endpoint.given_up, "given up")):
        words += f", {number} {what}" if number else ""
    return f"{words}\n{endpoint.detail}" if endpoint.detail else words
