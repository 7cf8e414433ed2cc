"""The Compare page's components, and what they show of two answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import gradio as gr

from ui import render, text
from ui.pages.seeds import seed_box
from ui.pages.wiring import POLL_S, View
from ui.telling import State, Telling, explain

TITLES = (text.MODEL_A, text.MODEL_B)
TEST_IDS = ("column-a", "column-b")


class CompareLayout:
    """Made inside a `gr.Blocks` context."""

    def __init__(self) -> None:
        self.timer = gr.Timer(POLL_S, active=False)
        gr.HTML(render.heading(text.COMPARE))
        with gr.Row(elem_classes="bar"):
            self.model_a = gr.Dropdown(label=text.MODEL_A, interactive=True, scale=5, min_width=200)
            self.model_b = gr.Dropdown(label=text.MODEL_B, interactive=True, scale=5, min_width=200)
            self.refresh = gr.Button(text.REFRESH, scale=0, min_width=100)
        self.notice = gr.HTML()
        self.prompt = gr.Textbox(
            text.OPENING,
            label=text.PROMPT,
            info=text.PROMPT_HINT,
            lines=3,
            max_lines=12,
            elem_id="compare-prompt",
        )
        with gr.Row(elem_classes="bar"):
            self.seed = seed_box(text.SEED_SHARED)
            self.temperature = gr.Slider(0, 2, 0.8, step=0.05, label=text.TEMPERATURE)
            self.length = gr.Slider(8, 512, 80, step=1, label=text.LENGTH)
        with gr.Row(elem_classes="actions"):
            self.run = gr.Button(text.RUN, variant="primary", min_width=90, elem_id="compare-run")
            self.stop = gr.Button(
                text.STOP, min_width=90, elem_id="compare-stop", interactive=False
            )
            self.dice = gr.Button(text.DICE, min_width=120)
        self.status = gr.HTML(_status("idle"))
        self.columns: list[gr.HTML] = []
        with gr.Row(equal_height=True, elem_classes="sides"):
            for title, testid in zip(TITLES, TEST_IDS, strict=True):
                # Two columns, or on a phone one below the other.
                with gr.Column(min_width=320):
                    self.columns.append(gr.HTML(render.column(None, title, testid)))

    def busy(self, tellings: Sequence[Telling]) -> View:
        return {
            self.notice: "",
            self.status: _status("running"),
            self.run: gr.update(interactive=False),
            self.stop: gr.update(interactive=True),
            **self.show(tellings, range(len(tellings))),
        }

    def show(self, tellings: Sequence[Telling], changed: Iterable[int]) -> View:
        """The columns that changed."""
        return {self.columns[index]: _column(index, tellings[index]) for index in changed}

    def ended(self, tellings: Sequence[Telling]) -> View:
        """Both at rest; if either failed, the whole comparison did."""
        failed = any(telling.state == "error" for telling in tellings)
        return {
            self.status: _status("error" if failed else "done"),
            self.run: gr.update(interactive=True),
            self.stop: gr.update(interactive=False),
            **self.show(tellings, range(len(tellings))),
        }


def _column(index: int, telling: Telling) -> str:
    problem = explain(telling.error) if telling.error else ""
    return render.column(telling, TITLES[index], TEST_IDS[index], problem)


def _status(state: State) -> str:
    """Read out once, at the end; the columns themselves stay silent while they grow."""
    return render.announced_status(state, text.COMPARED[state], "compare-status")
