"""The Play page's components, and what they show of a story."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ui import render, text
from ui.models import Model
from ui.pages.seeds import seed_box
from ui.pages.wiring import POLL_S, Look, View
from ui.saved import to_json
from ui.story import PlayerLine, Story
from ui.telling import Telling

# Fixed, or every restart of the server would make the stored stories unreadable. It hides
# nothing: the story is the visitor's, in the visitor's own browser.
STORAGE = {"secret": "lmft-play"}
# Words that wait in the box; keys.js writes them down too.
FIND_UNSENT = """(saved) => [saved, localStorage.getItem("lmft-unsent") ?? ""]"""
KEEP_UNSENT = """(words) => { localStorage.setItem("lmft-unsent", words ?? ""); }"""
# What the slider of tokens spans.
LENGTHS = (8, 512)


class PlayLayout:
    """Made inside a `gr.Blocks` context."""

    def __init__(self) -> None:
        self.saved = gr.BrowserState(None, storage_key="lmft-story", **STORAGE)
        # No BrowserState: the words are kept where no event of Gradio's comes, too.
        self.unsent = gr.Textbox(visible="hidden", label="unsent")
        self.timer = gr.Timer(POLL_S, active=False)
        gr.HTML(render.heading(text.PLAY))
        with gr.Row(elem_classes="bar"):
            self.model = gr.Dropdown(label=text.MODEL, interactive=True, scale=5, min_width=200)
            self.refresh = gr.Button(text.REFRESH, scale=0, min_width=100)
        # Laid out bottom up (style.css): the column then stays at its newest line by itself.
        with gr.Column(elem_id="book"):
            self.live = gr.HTML()
            self.story = gr.HTML(render.story(Story(), busy=True))
        with gr.Row(elem_classes="foot"):
            self.status = gr.HTML(render.status("idle", text.IDLE, "play-status"), scale=1)
            with gr.Row(visible=False, elem_classes="pager") as self.pager:
                self.earlier = gr.Button(text.EARLIER, size="sm", elem_id="play-earlier")
                self.number = gr.HTML()
                self.later = gr.Button(text.LATER, size="sm", elem_id="play-later")
        self.notice = gr.HTML()
        gr.HTML(render.other_tab(text.OTHER_TAB))
        self.said = gr.HTML(render.announcement(""))
        self.mode = gr.Radio(
            text.MODES, value="do", label=text.MODE, show_label=False, container=False
        )
        with gr.Row(elem_classes="composer"):
            # One line that grows: so Enter sends, and Shift+Enter breaks the line.
            self.box = gr.Textbox(
                label=text.BOX,
                show_label=False,
                container=False,
                placeholder=text.BOX_HINT,
                lines=1,
                max_lines=6,
                scale=5,
                min_width=200,
                elem_id="play-box",
            )
            self.send = gr.Button(text.SEND, variant="primary", scale=0, min_width=100)
        with gr.Row(elem_classes="actions"):
            self.go_on = gr.Button(text.CONTINUE, min_width=90)
            self.retry = gr.Button(text.RETRY, min_width=90)
            self.undo = gr.Button(text.UNDO, min_width=90, elem_id="play-undo")
            self.redo = gr.Button(text.REDO, min_width=90, elem_id="play-redo")
            self.stop = gr.Button(text.STOP, min_width=90, elem_id="play-stop", interactive=False)
        with gr.Accordion(text.NEW_STORY, open=False) as self.new_story:
            self.opening = gr.Textbox(label=text.OPENING_LABEL, lines=3, info=text.OPENING_HINT)
            self.begin = gr.Button(text.BEGIN)
        with gr.Accordion(text.SETTINGS, open=False):
            self.temperature = gr.Slider(
                0, 2, 0.8, step=0.05, label=text.TEMPERATURE, info=text.TEMPERATURE_HINT
            )
            self.length = gr.Slider(*LENGTHS, 80, step=1, label=text.LENGTH)
            self.seed = seed_box(text.SEED_HINT)
        self.all: list[Any] = [
            part for part in vars(self).values() if isinstance(part, gr.blocks.Block)
        ]

    def show(self, story: Story) -> View:
        """The story at rest."""
        last = story.last_reply
        count = len(story.steps[-1].replies) if story.steps else 0
        number = story.steps[-1].chosen + 1 if story.steps else 0
        return {
            self.saved: to_json(story),
            self.story: render.story(story),
            self.live: "",
            self.status: render.status("done", render.provenance(last), "play-status")
            if last
            else render.status("idle", text.IDLE, "play-status"),
            self.pager: gr.update(visible=count > 1),
            self.number: render.count(text.TELLING.format(number=number, count=count)),
            **self._buttons(story, busy=False),
        }

    def busy(self, story: Story, asking: PlayerLine | None) -> View:
        """The story while an answer to `asking` is awaited."""
        return {
            self.story: render.story(story, asking, busy=True),
            self.live: "",
            self.status: render.status("running", text.WRITING, "play-status"),
            self.notice: "",
            self.pager: gr.update(visible=False),
            **self._buttons(story, busy=True),
        }

    def failed(self, story: Story, problem: str, torn: Telling) -> View:
        """The story as before, the reason, and what had come of the reply."""
        view = self.show(story)
        view[self.status] = render.status("error", text.FAILED, "play-status")
        view[self.notice] = render.notice(problem)
        view[self.live] = render.live(torn, story.speakers) if torn.said.strip() else ""
        return view

    def told(self, story: Story, *, asked: str) -> View:
        """The story with its new reply, which is read out once."""
        reply = story.steps[-1].reply
        view = self.show(story) | {self.said: render.announcement(reply.text)}
        if reply.model != asked:
            # The line below the story says so too, but a wrong narrator must not be missed.
            wrong = text.OTHER_MODEL.format(asked=asked, model=reply.model)
            view[self.notice] = render.notice(wrong)
        return view

    def settings_of(self, model: Model) -> View:
        """A narrator's own opening, names and sampler settings."""
        names = model.speakers
        view: View = {
            self.opening: model.first_opening,
            self.mode: gr.update(visible=not names),
            self.box: gr.update(
                label=text.BOX_CHAT.format(name=names.player) if names else text.BOX
            ),
        }
        if "temperature" in model.sampler:
            view[self.temperature] = model.sampler["temperature"]
        if "max_tokens" in model.sampler:
            length = int(model.sampler["max_tokens"])
            # Its own length is always within reach, whatever the slider usually spans.
            view[self.length] = gr.update(
                value=length, minimum=min(LENGTHS[0], length), maximum=max(LENGTHS[1], length)
            )
        return view

    def show_server(self, seen: Look) -> View:
        """What is wrong or missing, if anything; the timer runs only as long as it must."""
        return {
            self.notice: render.notice(seen.problem or seen.hint, alarm=bool(seen.problem)),
            self.timer: gr.update(active=seen.waiting),
        }

    def _buttons(self, story: Story, *, busy: bool) -> View:
        """What can be pressed now."""
        ready = {
            self.model: True,
            self.send: True,
            self.go_on: True,
            self.retry: bool(story.steps),
            self.undo: story.can_undo,
            self.redo: bool(story.undone),
            self.begin: True,
        }
        view = {part: gr.update(interactive=on and not busy) for part, on in ready.items()}
        return view | {self.stop: gr.update(interactive=busy)}
