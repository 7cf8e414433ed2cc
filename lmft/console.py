"""What the command line prints on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def console() -> Console:
    """Quiet in all but the first of several processes that train together."""
    from rich.console import Console

    from lmft.train.processes import is_main

    # An id such as ft:llama:me holds what rich takes for an emoji.
    return Console(quiet=not is_main(), emoji=False)
