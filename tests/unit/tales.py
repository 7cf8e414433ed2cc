"""Small texts of our own that are no near-duplicates of each other."""

from __future__ import annotations

import random
from pathlib import Path

_NAMES = ("Ada", "Bo", "Cleo", "Dan", "Eve", "Finn", "Gus", "Hal", "Ivy", "Jo", "Kit", "Lou")
_PLACES = (
    *("mill", "harbour", "orchard", "chapel", "tower", "quarry"),
    *("marsh", "cellar", "meadow", "forge", "bridge", "attic"),
)
_THINGS = (
    *("lantern", "rope", "letter", "kettle", "coin", "feather"),
    *("mirror", "ladder", "bell", "ring", "map", "knife"),
)
_DEEDS = (
    *("hides", "finds", "loses", "mends", "steals", "buries"),
    *("carries", "draws", "breaks", "sells", "counts", "burns"),
)


def tale(number: int, sentences: int = 24, quote: str = '"') -> str:
    """Paragraphs of four sentences, the same for the same number."""
    draw = random.Random(number)
    told = []
    for index in range(sentences):
        who, other = draw.sample(_NAMES, 2)
        sentence = (
            f"{who} {draw.choice(_DEEDS)} the {draw.choice(_THINGS)} near the "
            f"{draw.choice(_PLACES)} while {other} {draw.choice(_DEEDS)} a {draw.choice(_THINGS)}."
        )
        told.append(f"{quote}Why?{quote} asks {other}. {sentence}" if index % 5 == 4 else sentence)
    paragraphs = [" ".join(told[start : start + 4]) for start in range(0, sentences, 4)]
    return "\n\n".join(paragraphs)


def write_tales(folder: Path, count: int = 14) -> Path:
    folder.mkdir(exist_ok=True)
    for number in range(count):
        (folder / f"{number:02}.txt").write_text(tale(number) + "\n", encoding="utf-8")
    return folder
