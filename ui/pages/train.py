"""The Train page: from files to a model, watched on the way.

The server holds the job; the page's address names it. So a reload, another tab and another
machine show the same training, whoever started it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr

from ui import render
from ui import text_train as text
from ui.client import Gateway
from ui.events import GatewayError
from ui.pages.dropping import pass_on, refused_in_words
from ui.pages.tabs import Tab, Tabs
from ui.pages.train_look import Look, said
from ui.pages.train_view import ADDRESS, TrainLayout
from ui.pages.wiring import EVENT, STREAM, View, session_of
from ui.training.client import Preset
from ui.training.form import Form, name_from, once


class TrainPage:
    """Built inside a `gr.Blocks` context. Every handler is a coroutine, as on the Play page."""

    def __init__(self, blocks: gr.Blocks, gateway: Gateway) -> None:
        self._gateway = gateway
        self._jobs = gateway.jobs
        self._tabs = Tabs()
        self._presets: list[Preset] = []
        self._layout = TrainLayout()
        self._look = Look(self._layout, gateway.jobs)
        self._wire(blocks)

    def _wire(self, blocks: gr.Blocks) -> None:
        page = self._layout
        form = [page.job, *page.chosen.fields]
        blocks.load(self._arrive, None, page.all, **EVENT)
        page.timer.tick(self._see, [page.job], page.all, **EVENT)
        made = [
            zone.upload(self._dropped, [zone, *form], page.all, **STREAM)
            for zone in (page.drop, page.drop_folder, page.chosen.more)
        ]
        made.append(page.chosen.replan.click(self._replan, form, page.all, **EVENT))
        made.append(page.start.click(self._start, form, page.all, **EVENT))
        for event in made:
            event.then(None, [page.job], None, js=ADDRESS, **EVENT)
        # Not `input`: of a text box it comes with a key that makes a letter, and with no other.
        changes = [part.change for part in page.chosen.fields]
        edited = gr.on(changes, self._edited, form, page.all, trigger_mode="always_last", **EVENT)
        # Of several changes at once Gradio may hand over an earlier one last: so once more, with
        # what stands there when each has been answered.
        edited.then(self._edited, form, page.all, **EVENT)
        page.pause.click(self._pause, [page.job], page.all, **EVENT)
        page.stop.click(self._ask, [page.job], page.all, **EVENT)
        page.stop_yes.click(self._end, [page.job], page.all, **EVENT)
        page.stop_no.click(self._keep, None, page.confirm, **EVENT)
        blocks.unload(self._leave)

    async def _arrive(self, request: gr.Request) -> View:
        """The page opens, or is reloaded: the job is in its address."""
        page, tab = self._layout, self._tab(request)
        id = str(request.query_params.get("job") or "")
        async with tab.lock:
            tab.begin(id)
            try:
                self._presets, bases = await self._jobs.presets()
                view = page.chosen.offer(self._presets, bases, await self._gateway.models())
            except GatewayError as error:
                # The address stays as it is, and the next look may find the server again.
                return self._look.trouble(error, tab) | {page.job: id}
            for part, value in (await self._look.within(tab)).items():
                view[part] = view[part] | value if part in view else value
            return view

    async def _see(self, id: str, request: gr.Request) -> View:
        return await self._look.at(self._tab(request, id))

    async def _dropped(
        self, dropped: list[str] | None, id: str, request: gr.Request, *values: Any
    ) -> AsyncGenerator[View, None]:
        """Files are passed on; of those that the server takes, a plan is made."""
        page, tab = self._layout, self._tab(request, id)
        # Given back empty: what was dropped is on the server now, or was refused.
        zones: View = {page.drop: None, page.drop_folder: None, page.chosen.more: None}
        if not dropped:
            yield zones | {page.notice: render.notice(text.NOTHING_DROPPED)}
            return
        ids: tuple[str, ...] = ()
        refused: tuple[str, ...] = ()
        async with aclosing(pass_on(self._jobs, dropped)) as passing:
            async for passed in passing:
                ids, refused = passed.ids, passed.refused
                if passed.doing:
                    yield {page.notice: render.notice(passed.doing, alarm=False)}
        view: View = {}
        if ids:
            form = Form.of(values)
            old = form.files if tab.job else ()
            name = form.name or name_from(Path(dropped[0]).name)
            form = replace(form, files=(*old, *ids), name=name)
            view = await self._plan(tab, form, request)
        if refused:
            said = render.notice(refused_in_words(refused, ids), lines=refused)
            # Why there is no plan comes before which files it would have been without.
            view[page.notice] = f"{view.get(page.notice, '')}{said}"
        yield zones | view

    async def _replan(self, id: str, request: gr.Request, *values: Any) -> View:
        tab, form = self._tab(request, id), Form.of(values)
        seen = tab.seen
        if seen is not None and not seen.ended and not self._layout.is_edited(seen, form):
            # The second of two clicks: the first has made that plan.
            return await self._look.at(tab)
        return await self._plan(tab, form, request)

    async def _plan(self, tab: Tab, form: Form, request: gr.Request) -> View:
        """A new job, to be looked at before it starts, in the place of the one that is shown."""
        page, id = self._layout, tab.job or ""
        try:
            body = form.request(self._presets)
            made = await self._jobs.create(body, once(body, id, session_of(request)))
            if id and id != made:
                await self._jobs.discard(id)
        except (ValueError, GatewayError) as error:
            return {page.notice: render.notice(said(error))}
        async with tab.lock:
            # Not while a look at the old one is under way: what it found must not come after.
            tab.begin(made)
            return {page.notice: ""} | await self._look.within(tab)

    async def _start(self, id: str, request: gr.Request, *values: Any) -> View:
        """Start or resume. Never a plan that nobody has seen."""
        page, tab = self._layout, self._tab(request, id)
        form = Form.of(values)
        try:
            job = await self._look.job(tab.job or "")
        except GatewayError as error:
            return self._look.trouble(error, tab)
        if not page.is_edited(job, form):
            return await self._tell("resume", tab)
        view = await self._plan(tab, form, request)
        if not view.get(page.notice):
            view[page.notice] = render.notice(text.REPLANNED, alarm=False)
        return view

    async def _pause(self, id: str, request: gr.Request) -> View:
        return await self._tell("pause", self._tab(request, id))

    async def _end(self, id: str, request: gr.Request) -> View:
        view = await self._tell("cancel", self._tab(request, id))
        return view | {self._layout.confirm: gr.update(visible=False)}

    async def _tell(self, verb: str, tab: Tab) -> View:
        view: View = {self._layout.notice: ""}
        try:
            await self._jobs.tell(tab.job or "", verb)
        except GatewayError as error:
            # A second click, or somebody was quicker: how it stands says more than the refusal.
            if error.code != "invalid_state":
                return {self._layout.notice: render.notice(said(error))}
        return view | await self._look.at(tab)

    async def _ask(self, id: str, request: gr.Request) -> View:
        """Ending cannot be undone."""
        tab = self._tab(request, id)
        try:
            job = await self._look.job(tab.job or "")
        except GatewayError as error:
            return self._look.trouble(error, tab)
        return self._layout.ask_whether(job)

    async def _keep(self) -> Any:
        return gr.update(visible=False)

    async def _edited(self, id: str, request: gr.Request, *values: Any) -> View:
        """Settings differ from those of the plan: it must be made anew before it can start.

        Nothing is awaited: a later change must not be overtaken by an earlier one. Said each time,
        however it was before, since answers may overtake each other too.
        """
        page, tab = self._layout, self._tab(request, id)
        job = tab.seen
        if job is None or job.id != id:
            return page.nothing()
        edited = page.is_edited(job, Form.of(values))
        tab.differs("edited", edited)
        return page.show_edited(job, edited=edited)

    def _tab(self, request: gr.Request, id: str = "") -> Tab:
        tab = self._tabs.of(session_of(request))
        if tab.job is None:
            # It was forgotten here; its browser knows.
            tab.begin(id)
        return tab

    async def _leave(self, request: gr.Request) -> None:
        self._tabs.forget(session_of(request))
