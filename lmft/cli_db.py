"""`lmft db`: looking after the database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lmft.store.database import Store

app = typer.Typer(
    help="The database: look at it, back it up, move it.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command()
def check() -> None:
    """Whether the database is whole, and what it says can be; reads all of it."""
    from lmft.errors import StoreError
    from lmft.store.care import faults

    store = _store()
    found = faults(store)
    for fault in found:
        print(fault)
    if found:
        raise StoreError(
            f"{store.name} has faults: {len(found)}.", "docs/runbook.md says how to restore it."
        )
    print(f"{store.name} is whole.")


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file for the copy.")],
) -> None:
    """Copy the SQLite database, also while a server writes to it."""
    from lmft.store import care

    size = care.backup(_store(), file)
    print(f"Wrote {file} ({size / 1e6:.1f} MB). docs/runbook.md says what else to keep.")


@app.command("import")
def import_(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="An SQLite database, best a backup.")
    ],
) -> None:
    """Fill the new PostgreSQL database that LMFT_DATABASE_URL names with what FILE holds."""
    from lmft.errors import NotFoundError
    from lmft.store.database import open_store
    from lmft.store.moving import move

    if not file.is_file():
        raise NotFoundError(f"There is no file {file}.", "`lmft db backup FILE` makes one.")
    target = open_store()
    n_rows = move(open_store(file), target)
    print(f"{n_rows} rows are now in {target.name}.")


@app.command()
def purge(
    days: Annotated[int, typer.Option(min=0, help="Only what was deleted so long ago.")] = 30,
) -> None:
    """Remove for good what people deleted: stories, comparisons and gold edits."""
    from lmft.library.purge import purge as remove

    gone = remove(_store(), days)
    print(f"Removed {', '.join(f'{number} {what}' for what, number in gone.items())}.")


def _store() -> Store:
    from lmft.errors import NotFoundError
    from lmft.store.database import open_store, store_exists, store_file

    if not store_exists():
        raise NotFoundError(
            f"There is no database {store_file()} yet.", "The first key, job or server makes one."
        )
    return open_store()
