"""`lmft pretrain`: a base of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lmft.console import console


def run_pretrain(
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE", help="A .yaml file, or a shipped one: embedded-base, new-base."
        ),
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            help="UTF-8 text (also .xz) with <|endoftext|> between documents, or a compiled "
            "corpus [default: the recipe's]."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the run and its base [default: pretrained/NAME of the data directory]."
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a recipe key; repeatable."),
    ] = None,
) -> None:
    """Train a small base model from text, or go on with one; again goes on where it stopped."""
    from lmft import paths
    from lmft.pretrain.recipe import find_pretraining, load_pretraining
    from lmft.train.environment import prepare_torch

    loaded = load_pretraining(find_pretraining(recipe), set_ or (), data)
    prepare_torch()
    from lmft.pretrain.run import pretrain

    made = pretrain(loaded, (out or paths.pretrained_dir() / loaded.name).resolve(), console())
    console().print(
        f"\n  The base: {made}\n  Fine-tune it: lmft train RECIPE --set base={made}", soft_wrap=True
    )
