"""A text and a recipe small enough to be pretrained on in seconds."""

from __future__ import annotations

from pathlib import Path

import yaml

from tests.conftest import ROOT

TALES = sorted((ROOT / "recipes" / "data" / "adventures").glob("*.txt"))
TALK = ROOT / "recipes" / "data" / "innkeeper.jsonl"
SPOKEN = "\n".join(
    [
        '"Who is there?" asked Anna.',
        '"It is only the wind," said Bertram.',
        '"Then why does the latch move?"',
        '"Because the wind has hands," answered Bertram.',
    ]
)
TOLD = (
    "I took the lamp from the hook. It was cold, and I was afraid of my own shadow.\n"
    'I opened the door. "I see you," he said, and I knew that I must go down to him by myself.'
)


def a_text(folder: Path, *more: str) -> Path:
    """The shipped adventures, an exchange and a tale in the first person, as one file."""
    texts = [*(file.read_text(encoding="utf-8") for file in TALES), SPOKEN, TOLD, *more]
    # What is held out stands at the end.
    texts.append(TALES[0].read_text(encoding="utf-8") * 3)
    file = folder / "text.txt"
    file.write_text("\n<|endoftext|>\n".join(texts) + "\n", encoding="utf-8")
    return file


def a_recipe(folder: Path, data: Path, **changed: object) -> Path:
    """From nothing: 512 tokens, one layer; `training` is changed key by key."""
    tree = {
        "name": "small",
        "data": str(data),
        "heldout_share": 0.05,
        "vocabulary": {"size": 512},
        "shape": {"layers": 1, "width": 64, "positions": 64},
        "mix": {"second_person": 0.1, "dialogue": 0.1},
        "prompts": ["You open the door and"],
    }
    training = {
        "tokens": 40_000,
        "block_tokens": 32,
        "batch_blocks": 32,
        "micro_blocks": 16,
        "learning_rate": 0.01,
        "evaluations": 4,
        "seed": 3,
    }
    tree |= {key: value for key, value in changed.items() if key != "training"}
    tree["training"] = training | dict(changed.get("training", {}))  # type: ignore[call-overload]
    tree = {key: value for key, value in tree.items() if value is not None}
    file = folder / "recipe.yaml"
    file.write_text(yaml.safe_dump(tree), encoding="utf-8")
    return file
