"""What sentences call a text."""

from __future__ import annotations

from pathlib import Path

from lmft import paths


def text_at(where: str) -> str:
    """The first words of a sentence on it: the path that a person gave.

    What lmft has compiled for itself is called by its hash, which tells nobody anything.
    """
    return "The text" if Path(where).parent == paths.corpora_dir() else where
