"""The seed: what is typed, what is sent."""

from __future__ import annotations

import secrets

import gradio as gr

from ui import text

SEEDS = 2**31


def seed_box(info: str) -> gr.Textbox:
    """A text box, because Gradio's Number shows an empty value as 0, and 0 is a seed."""
    return gr.Textbox("", label=text.SEED, info=info, max_lines=1, max_length=10)


def any_seed() -> int:
    return secrets.randbelow(SEEDS)


def read_seed(typed: str | None) -> int | None:
    """None when nothing is typed.

    Raises:
        ValueError: not a whole number that the engine takes.
    """
    words = (typed or "").strip()
    if not words:
        return None
    if not (words.isascii() and words.isdigit() and int(words) < SEEDS):
        raise ValueError(text.BAD_SEED)
    return int(words)
