"""The Play page: a story, told turn by turn."""

from __future__ import annotations

from collections.abc import Callable

import gradio as gr

from ui import render, text
from ui.client import Gateway
from ui.models import choices
from ui.pages.play_view import FIND_UNSENT, KEEP_UNSENT, PlayLayout
from ui.pages.turn import Desk, Intent, turn_handler
from ui.pages.wiring import EVENT, FORGET_MODEL, STREAM, View, look, session_of
from ui.running import Running, Stories
from ui.saved import from_json
from ui.story import Story

# What the buttons that ask no server do, by their ids.
_CHANGES: dict[str | None, Callable[[Story], Story]] = {
    "play-undo": Story.undo,
    "play-redo": Story.redo,
    "play-earlier": lambda story: story.choose(-1),
    "play-later": lambda story: story.choose(+1),
}


class PlayPage:
    """Built inside a `gr.Blocks` context; the story itself lives in the visitor's browser.

    Every handler is a coroutine, also where nothing is awaited: Gradio would run it in a thread
    otherwise, and stories and stop flags belong to the event loop.
    """

    def __init__(self, blocks: gr.Blocks, gateway: Gateway) -> None:
        self._gateway = gateway
        self._running = Running()
        self._stories = Stories()
        self._layout = PlayLayout()
        self._wire(blocks)

    def _wire(self, blocks: gr.Blocks) -> None:
        page = self._layout
        arriving = blocks.load(
            self._arrive, [page.saved, page.unsent], page.all, js=FIND_UNSENT, **EVENT
        )
        arriving.then(None, None, None, js=FORGET_MODEL, **EVENT)
        # What is typed is kept as it is typed (keys.js); this forgets what was sent.
        page.box.change(None, [page.box], None, js=KEEP_UNSENT, **EVENT)
        seeing = [page.saved, page.model]
        page.timer.tick(self._see, seeing, page.all, **EVENT)
        page.refresh.click(self._see, seeing, page.all, **EVENT)
        page.model.input(self._see, seeing, page.all, **EVENT)
        asking = [
            *(page.saved, page.box, page.mode, page.model),
            *(page.temperature, page.length, page.seed),
        ]
        desk = Desk(page, self._gateway, self._running, self._stories)
        for intent, triggers in {
            Intent.SEND: [page.send.click, page.box.submit],
            Intent.CONTINUE: [page.go_on.click],
            Intent.RETRY: [page.retry.click],
        }.items():
            told = gr.on(triggers, turn_handler(intent, desk), asking, page.all, **STREAM)
            told.then(self._give_back, [page.saved, page.box], [page.box, page.mode], **EVENT)
        page.stop.click(self._stop, None, None, **EVENT)
        # Gradio itself notices a closed tab only when the generator yields, and one that waits
        # for a model to load does not.
        blocks.unload(self._leave)
        # Every click of a quick series counts. Answers may overtake each other: so those of the
        # clicks show nothing, and what stands is then asked for by one request at a time. (One
        # event of all four buttons: each event waits for itself only.)
        clicked = gr.on(
            [page.undo.click, page.redo.click, page.earlier.click, page.later.click],
            self._change,
            [page.saved],
            None,
            trigger_mode="multiple",
            **EVENT,
        )
        clicked.then(self._show, [page.saved], page.all, trigger_mode="always_last", **EVENT)
        page.begin.click(self._begin, [page.saved, page.opening], page.all, **EVENT)

    async def _arrive(self, saved: object, unsent: str | None, request: gr.Request) -> View:
        """The page opens, or is reloaded: bring back the story and what was left unanswered."""
        page = self._layout
        story = self._stories.put(session_of(request), from_json(saved))
        asked = request.query_params.get("model")
        view = page.show(story) | await self._look(saved, asked, session_of(request), anew=True)
        if story.draft:
            view[page.mode] = gr.update(value=story.draft.mode, visible=not story.speakers)
        words = unsent or (story.draft.text if story.draft else "")
        # Beside its label, which the narrator just gave it.
        view[page.box] = view.get(page.box, gr.update()) | {"value": words}
        return view

    async def _give_back(self, saved: object, typed: str, request: gr.Request) -> View:
        """What was sent and not answered, above what has been typed meanwhile."""
        page, session = self._layout, session_of(request)
        draft, typed = self._stories.get(session, saved).draft, typed or ""
        if draft is None or self._running.is_busy(session) or typed.startswith(draft.text):
            return {page.box: gr.skip()}
        words = f"{draft.text}\n{typed}" if typed.strip() else draft.text
        return {page.box: words, page.mode: draft.mode}

    async def _see(self, saved: object, chosen: str | None, request: gr.Request) -> View:
        return await self._look(saved, chosen, session_of(request), anew=chosen is None)

    async def _look(self, saved: object, chosen: str | None, session: str, *, anew: bool) -> View:
        """Look at the server again, and take up the narrator that is (or should be) chosen.

        Args:
            anew: even if it is the story's own.
        """
        page = self._layout
        seen = await look(self._gateway, text.NO_ADAPTER)
        # Only now: a turn may have been told while we looked.
        story, busy = self._stories.get(session, saved), self._running.is_busy(session)
        view = page.show_server(seen)
        wanted = chosen or story.model
        model = seen.find(wanted) or seen.find(story.model) or seen.best
        if model is None:
            return view
        if wanted and wanted not in (model.id, model.alias) and not seen.problem:
            # Never another narrator behind somebody's back.
            view[page.notice] = render.notice(text.GONE_MODEL.format(gone=wanted, model=model.id))
        if model.id != story.model or anew:
            # The stock opening gives way to the new narrator's own, but not once it was sent.
            stock = set() if busy else {"", *(known.first_opening for known in seen.models)}
            story = self._stories.put(session, story.narrated_by(model, stock))
            view |= page.settings_of(model) | ({} if busy else page.show(story))
        view[page.model] = gr.update(choices=choices(seen.models), value=model.id)
        return view

    async def _change(self, saved: object, clicked: gr.EventData, request: gr.Request) -> None:
        """Change the story without asking the server."""
        session = session_of(request)
        # If busy, the click was on its way when the answer began: it meant another state.
        # The target is the session's copy of the button, which has its name in common with ours.
        if clicked.target and not self._running.is_busy(session):
            change = _CHANGES[clicked.target.elem_id]
            self._stories.put(session, change(self._stories.get(session, saved)))

    async def _show(self, saved: object, request: gr.Request) -> View:
        session = session_of(request)
        if self._running.is_busy(session):
            return {self._layout.notice: gr.skip()}
        return self._layout.show(self._stories.get(session, saved)) | {self._layout.notice: ""}

    async def _begin(self, saved: object, opening: str, request: gr.Request) -> View:
        session = session_of(request)
        if not self._running.is_busy(session):
            self._stories.put(session, self._stories.get(session, saved).anew(opening or ""))
        return await self._show(saved, request) | {self._layout.new_story: gr.update(open=False)}

    async def _stop(self, request: gr.Request) -> None:
        self._running.stop(session_of(request))

    async def _leave(self, request: gr.Request) -> None:
        self._running.stop(session_of(request))
        self._stories.forget(session_of(request))
