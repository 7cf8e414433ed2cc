"""API keys on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lmft.errors import AdapterCorruptError, InputError, NotFoundError
from lmft.ids import is_alias
from lmft.registry.adapters import get_adapter
from lmft.store.database import open_store
from lmft.store.keys import DEFAULT_SCOPES, PREFIX, Keys, Limits


def create(
    name: str,
    scopes: Sequence[str],
    models: Sequence[str],
    limits: Limits,
    project: str,
    console: Console,
) -> None:
    """Make a key and print it, the only time that anybody can."""
    chosen = [_model(model) for model in models]
    key, secret = Keys(open_store()).create(name, scopes or DEFAULT_SCOPES, chosen, limits, project)
    may = ", ".join(sorted(key.scopes))
    console.print(f"Key {key.name} of project {project} may: {may}.", highlight=False)
    if key.models:
        console.print("Only of:", Text(", ".join(sorted(key.models))), soft_wrap=True)
    console.print("Copy it now; only its hash is kept:")
    # For `$(lmft keys create NAME | tail -1)`: the last line is the key and nothing else.
    print(secret)


def list_shown(console: Console) -> None:
    keys = Keys(open_store()).all()
    if not keys:
        console.print("No keys yet. Make one: lmft keys create NAME")
        return
    table = Table(box=None, pad_edge=False)
    for title in ("id", "name", "project", "key", "may", "models", "limits", "created", "state"):
        # What does not fit goes on in the next line: half a model's name is none.
        table.add_column(title, no_wrap=title in ("id", "name", "key"), overflow="fold")
    for key in keys:
        table.add_row(
            key.public_id,
            key.name,
            key.project,
            f"{PREFIX}...{key.ending}",
            " ".join(sorted(key.scopes)),
            "\n".join(sorted(key.models)) or "all",
            _limits(key.limits),
            _day(key.created_at),
            "valid" if key.revoked_at is None else f"revoked {_day(key.revoked_at)}",
        )
    console.print(table)


def revoke(name: str, console: Console) -> None:
    key = Keys(open_store()).revoke(name)
    console.print(
        f"Revoked {key.name} ({PREFIX}...{key.ending}); a running server refuses it "
        "within a second.",
        highlight=False,
    )


def _model(text: str) -> str:
    """An alias or a base as it is; by an id or a key, that version; by a name, its alias."""
    if is_alias(text) or text == "embedded":
        return text
    try:
        found = get_adapter(text).id
        return found.alias if text == found.suffix else str(found)
    except (NotFoundError, AdapterCorruptError) as error:
        raise InputError(
            f"There is no model {text}.",
            "Give an id that `lmft models list` shows, or ft:BASE:ORG:NAME for all its versions.",
        ) from error


def _limits(limits: Limits) -> str:
    words = {
        "requests/min": limits.requests_per_minute,
        "tokens/min": limits.tokens_per_minute,
        "at once": limits.concurrent,
        "active jobs": limits.active_jobs,
        "jobs/24 h": limits.jobs_per_day,
    }
    return "\n".join(f"{value} {what}" for what, value in words.items() if value) or "none"


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M")
