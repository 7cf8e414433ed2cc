"""The Train page's components, and what they show of a job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from ui import render
from ui import text_train as text
from ui.pages.dropping import drop_zone
from ui.pages.train_settings import TrainSettings
from ui.pages.wiring import View
from ui.training import corpus_view, curve, job_view, plan_view
from ui.training.client import File
from ui.training.follow import Seen
from ui.training.form import Form, form_of
from ui.training.job import Job, Listed

# While something moves, and otherwise: somebody else may start, pause or end it.
QUICK_S, SLOW_S = 1.5, 8.0
# The address tells which job it is, so that a reload and a bookmark find it again.
ADDRESS = """(id) => {
  const url = new URL(location.href);
  if (id) url.searchParams.set("job", id); else url.searchParams.delete("job");
  if (url.href !== location.href) history.replaceState(null, "", url);
}"""


class TrainLayout:
    """Made inside a `gr.Blocks` context."""

    def __init__(self) -> None:
        self.timer = gr.Timer(SLOW_S)
        # In the page, not in the session: its value must reach the script that sets the address.
        self.job = gr.Textbox(visible="hidden", label="job", elem_id="train-job")
        gr.HTML(render.heading(text.TRAIN))
        self.notice = gr.HTML()
        self.said = gr.HTML(render.announcement(""))
        with gr.Column(elem_classes="new-training") as self.new:
            gr.HTML(render.says(text.INTRO))
            with gr.Row():
                self.drop = drop_zone(text.DROP, "multiple", "train-drop")
                self.drop_folder = drop_zone(text.DROP_FOLDER, "directory", "train-folder")
        with gr.Column(visible=False, elem_classes="training") as self.work:
            self.head = gr.HTML()
            with gr.Row(elem_classes="actions") as self.actions:
                self.start = gr.Button(text.START, variant="primary", min_width=90)
                self.pause = gr.Button(text.PAUSE, min_width=90)
                self.stop = gr.Button(text.STOP, min_width=90)
            with gr.Group(visible=False, elem_classes="confirm") as self.confirm:
                self.sure = gr.HTML()
                with gr.Row(elem_classes="actions"):
                    self.stop_yes = gr.Button(text.STOP_YES, variant="stop", min_width=90)
                    self.stop_no = gr.Button(text.STOP_NO, min_width=90)
            self.curve = gr.HTML()
            with gr.Accordion(text.SAMPLES, open=True, visible=False) as self.samples_box:
                self.samples = gr.HTML()
            with gr.Accordion(text.CORPUS, open=True, visible=False) as self.corpus_box:
                self.corpus = gr.HTML()
            with gr.Accordion(text.SETTINGS, open=True, visible=False) as self.settings:
                self.chosen = TrainSettings()
            with gr.Accordion(text.PLAN, open=True, visible=False) as self.plan_box:
                self.plan = gr.HTML()
            with gr.Accordion(text.EVENTS, open=False) as self.events_box:
                self.events = gr.HTML()
        self.jobs = gr.HTML()
        parts = [part for part in vars(self).values() if isinstance(part, gr.blocks.Block)]
        self.all: list[Any] = [*parts, *self.chosen.all]

    def nothing(self) -> View:
        """No change; Gradio takes an empty answer for a fault."""
        return {self.notice: gr.skip()}

    def show_nothing(self) -> View:
        """No job is chosen: the place to drop files."""
        return {
            self.job: "",
            self.new: gr.update(visible=True),
            self.work: gr.update(visible=False),
            self.timer: gr.update(value=SLOW_S),
        }

    def show(self, seen: Seen, *, edited: bool = False) -> View:
        """A job as it is now; its settings are shown once, by show_settings."""
        job = seen.job
        has_figures = bool(seen.rows) or job.state in ("running", "pausing", "cancelling")
        return {
            self.job: job.id,
            self.new: gr.update(visible=False),
            self.work: gr.update(visible=True),
            self.head: job_view.head(seen),
            self.said: job_view.announced(job),
            self.curve: curve.figures(seen.rows, job.steps) if has_figures else "",
            self.samples_box: gr.update(visible=bool(seen.samples)),
            self.samples: job_view.samples(seen.samples),
            self.settings: gr.update(visible=job.takes_settings),
            self.plan_box: gr.update(visible=bool(job.plan)),
            self.plan: plan_view.plan(job),
            self.corpus_box: gr.update(visible=bool(job.corpus)),
            self.corpus: corpus_view.corpus(job.corpus),
            self.events: job_view.events(seen.events),
            self.timer: gr.update(value=QUICK_S if job.moves else SLOW_S),
            **self.buttons(job, edited=edited),
        }

    def show_settings(self, job: Job, files: Sequence[File]) -> View:
        """The settings, and what is folded of the rest: anew at each stage of the job."""
        has_begun = bool(job.started_at)
        return self.chosen.show(job, files) | {
            self.confirm: gr.update(visible=False),
            # Of a training that has begun the text is no news any more.
            self.corpus_box: gr.update(visible=bool(job.corpus), open=not has_begun),
            self.plan_box: gr.update(visible=bool(job.plan), open=not has_begun),
        }

    def buttons(self, job: Job, *, edited: bool = False) -> View:
        """What can be pressed now."""
        held, state = job.state == "held", job.state
        resumes = state in ("paused", "pausing")
        return {
            self.actions: gr.update(visible=not job.ended),
            self.start: gr.update(
                value=text.RESUME if resumes else text.START,
                interactive=resumes or (held and bool(job.plan) and not edited),
                visible=held or resumes or state == "validating_files",
            ),
            self.pause: gr.update(
                interactive=state in ("queued", "running"),
                visible=state in ("queued", "running", "paused", "pausing", "cancelling"),
            ),
            self.stop: gr.update(
                value=text.DISCARD if held else text.STOP, interactive=state != "cancelling"
            ),
        }

    def show_edited(self, job: Job, *, edited: bool) -> View:
        """The plan is, or is no longer, for these settings."""
        return self.buttons(job, edited=edited) | self.chosen.mark(job, edited=edited)

    def ask_whether(self, job: Job) -> View:
        """Before it is ended for good."""
        sentence = text.DISCARD_SURE if job.state == "held" else text.STOP_SURE
        return {
            self.sure: render.notice(sentence, alarm=True),
            self.confirm: gr.update(visible=True),
        }

    def show_jobs(self, listed: Sequence[Listed], chosen: str) -> View:
        return {self.jobs: job_view.jobs(listed, chosen)}

    def is_edited(self, job: Job, form: Form) -> bool:
        return job.takes_settings and form != form_of(job)
