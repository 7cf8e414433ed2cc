"""A look at the server for one tab of the Train page: the job and the list as they are now."""

from __future__ import annotations

from ui import render
from ui import text_train as text
from ui.events import GatewayError
from ui.pages.tabs import Tab
from ui.pages.train_view import TrainLayout
from ui.pages.wiring import View
from ui.training.client import Jobs
from ui.training.follow import Following
from ui.training.job import Job

_NO_SERVER = ("connection_failed", "connection_lost", "timed_out")


class Look:
    """Shared by all tabs."""

    def __init__(self, layout: TrainLayout, jobs: Jobs) -> None:
        self._layout, self._jobs = layout, jobs
        self._following = Following(jobs)

    async def job(self, id: str) -> Job:
        """Raises GatewayError."""
        return (await self._following.look(id)).job

    async def at(self, tab: Tab) -> View:
        """The job and the list as they are now; of what the tab shows already, nothing."""
        async with tab.lock:
            return await self.within(tab)

    async def within(self, tab: Tab) -> View:
        """The same, for who holds the tab's lock."""
        try:
            return await self._found(tab)
        except GatewayError as error:
            return self.trouble(error, tab)

    async def _found(self, tab: Tab) -> View:
        page, id = self._layout, tab.job or ""
        view = page.show_jobs(await self._jobs.newest(), id)
        if not id:
            return tab.news(view | page.show_nothing()) or page.nothing()
        try:
            seen = await self._following.look(id)
        except GatewayError as error:
            if error.code != "fine_tune_not_found":
                raise
            gone = {page.notice: render.notice(text.JOB_GONE.format(id=id))}
            return tab.news(view | page.show_nothing() | gone) or page.nothing()
        stage = seen.job.id, seen.job.moves
        if not tab.shows("stage", stage):
            files = await self._jobs.files() if seen.job.takes_settings else []
            tab.differs("stage", stage)
            tab.differs("edited", False)
            view |= page.show_settings(seen.job, files)
        view = page.show(seen, edited=tab.shows("edited", True)) | view
        if tab.differs("trouble", False):
            view[page.notice] = ""
        tab.seen = seen.job
        return tab.news(view) or page.nothing()

    def trouble(self, error: GatewayError, tab: Tab) -> View:
        """What is shown stays; a sentence says that it may be old, until a look succeeds."""
        tab.differs("trouble", True)
        words = text.SERVER_GONE if error.code in _NO_SERVER else said(error)
        return {self._layout.notice: render.notice(words)}


def said(error: Exception) -> str:
    """An error in words, with the server's own."""
    return text.ASK_FAILED.format(message=error)
