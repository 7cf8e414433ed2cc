"""The settings of a training on the Train page: what is chosen, and what `auto` has become."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from ui import render
from ui import text_train as text
from ui.models import Model, choices
from ui.pages.dropping import drop_zone
from ui.pages.wiring import View
from ui.training import marks, plan_view
from ui.training.client import File, Preset
from ui.training.form import form_of, preset_choices
from ui.training.job import Job


class TrainSettings:
    """Made inside a `gr.Blocks` context.

    Attributes:
        fields: what holds the values of a Form, in the order of its fields.
    """

    def __init__(self) -> None:
        self.preset = gr.Radio(label=text.PRESET, interactive=True, elem_classes="presets")
        with gr.Row(elem_classes="bar"):
            self.model = gr.Dropdown(
                label=text.START_FROM,
                info=text.START_HINT,
                # A job from elsewhere may name a base that is not offered here.
                allow_custom_value=True,
                interactive=True,
                min_width=220,
            )
            self.name = gr.Textbox(
                label=text.NAME, info=text.NAME_HINT, max_lines=1, max_length=64, min_width=220
            )
        with gr.Accordion(text.ADVANCED, open=False):
            with gr.Row(elem_classes="bar"):
                self.epochs = _number_box(text.EPOCHS, text.EPOCHS_HINT)
                self.rank = _number_box(text.RANK, text.RANK_HINT)
                self.rate = _number_box(text.RATE, text.RATE_HINT)
            with gr.Row(elem_classes="bar"):
                self.model_plays = _name_box(text.MODEL_PLAYS)
                self.you_play = _name_box(text.YOU_PLAY)
            self.files = gr.Dropdown(
                label=text.FILES, info=text.FILES_HINT, multiselect=True, interactive=True
            )
            self.more = drop_zone(text.MORE_FILES, "multiple", "train-more")
        self.skip_bad = gr.Checkbox(label=text.SKIP_BAD)
        # Here, not at the top of the page: it is about the button beneath it.
        self.note = gr.HTML()
        with gr.Row(elem_classes="actions"):
            self.replan = gr.Button(text.REPLAN, min_width=110, interactive=False)
        self.fields: list[Any] = [
            *(self.files, self.preset, self.model, self.name),
            *(self.epochs, self.rank, self.rate, self.model_plays, self.you_play, self.skip_bad),
        ]
        self.all: list[Any] = [*self.fields, self.more, self.note, self.replan]

    def offer(
        self, presets: Sequence[Preset], bases: Sequence[str], models: Sequence[Model]
    ) -> View:
        """What can be chosen, once it is known."""
        known = [Model(base) for base in bases]
        tuned = [model for model in models if not model.is_base and model.state != "failed"]
        return {
            self.preset: gr.update(choices=preset_choices(presets), value=""),
            self.model: gr.update(choices=choices([*tuned, *known])),
        }

    def show(self, job: Job, files: Sequence[File]) -> View:
        """What was chosen for it; for what was left open, what that has become."""
        form, autos = form_of(job), plan_view.autos(job)
        info = job.corpus.get("corpus") or {}
        speakers = [str(one.get("name")) for one in info.get("speakers") or ()]
        offered = [(f"{file.name}, {marks.size(file.n_bytes)}", file.id) for file in files]
        known = {file.id for file in files}
        # A file may have been deleted since; the job still names it.
        offered += [(id, id) for id in form.files if id not in known]
        return {
            self.files: gr.update(choices=offered, value=list(form.files)),
            self.preset: gr.update(value=form.preset),
            self.model: gr.update(value=form.model),
            self.name: form.name,
            self.epochs: _auto(form.epochs, autos.get("epochs")),
            self.rank: _auto(form.rank, autos.get("rank")),
            self.rate: _auto(form.rate, autos.get("rate")),
            self.model_plays: gr.update(choices=speakers, value=form.model_plays or None),
            self.you_play: gr.update(choices=speakers, value=form.you_play or None),
            self.skip_bad: form.skip_bad,
            **self.mark(job, edited=False),
        }

    def mark(self, job: Job, *, edited: bool) -> View:
        """Whether it can be planned anew: when something differs, or nothing came of it."""
        variant = "primary" if edited else "secondary"
        words = text.EDITED if edited and not job.ended else ""
        return {
            self.replan: gr.update(interactive=edited or job.ended, variant=variant),
            self.note: render.says(words),
        }


def _auto(chosen: str, auto: str | None) -> Any:
    hint = text.AUTO if auto is None else text.AUTO_IS.format(value=auto)
    return gr.update(value=chosen, placeholder=hint)


def _number_box(label: str, info: str) -> gr.Textbox:
    return gr.Textbox(
        label=label, info=info, placeholder=text.AUTO, max_lines=1, max_length=12, min_width=160
    )


def _name_box(label: str) -> gr.Dropdown:
    return gr.Dropdown(
        label=label, info=text.CAST_HINT, allow_custom_value=True, interactive=True, min_width=220
    )
