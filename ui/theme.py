"""How the pages look: a quiet book, in day and night.

Built on Gradio's Default theme, because Soft and Glass fail WCAG contrast. Default's own orange
buttons (white on orange-500, 2.8:1) fail it too, so the one strong colour here is a dark teal:
5.5:1 under white.
"""

from __future__ import annotations

from pathlib import Path

import gradio as gr
from gradio.themes.utils import colors, fonts

HERE = Path(__file__).parent
STYLES = [HERE / "style.css", HERE / "train.css"]
KEYS = HERE / "keys.js"

PAPER, PAPER_DARK = "#faf8f3", "#171614"
CARD, CARD_DARK = "#ffffff", "#201e1b"


def theme() -> gr.themes.Base:
    """Fonts come from Gradio's files or the visitor's system: nothing calls the internet."""
    book = gr.themes.Default(
        primary_hue=colors.teal,
        secondary_hue=colors.teal,
        neutral_hue=colors.stone,
        # Gradio 6.31 ships a SemiBold of this face with 55 glyphs and no letters but A and B;
        # where 600 is not declared, the browser takes the whole Bold.
        font=(fonts.LocalFont("Source Sans Pro", weights=(400, 700)), "system-ui", "sans-serif"),
    )
    return book.set(
        body_background_fill=PAPER,
        body_background_fill_dark=PAPER_DARK,
        body_text_color_dark="*neutral_200",
        # Default's notes and placeholders are neutral-400: 2.5:1 on white.
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        input_placeholder_color="*neutral_500",
        input_placeholder_color_dark="*neutral_400",
        block_background_fill=CARD,
        block_background_fill_dark=CARD_DARK,
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_hover_dark="*primary_800",
    )


def head() -> str:
    """The few keys and events that Gradio has no option for."""
    return f"<script>{KEYS.read_text(encoding='utf-8')}</script>"
