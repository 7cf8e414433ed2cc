"""Whether a plan can start with what is chosen, however the browser's events arrive."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import astuple, replace
from types import SimpleNamespace
from typing import Any

import gradio as gr

from tests.browser.scripted import ScriptedGateway
from tests.unit.test_ui_train_files import HELD, _server, gateway, run, server
from ui.pages.train import TrainPage
from ui.training.form import Form, form_of

__all__ = ["_server", "server"]


@asynccontextmanager
async def arrived(server: ScriptedGateway) -> AsyncIterator[tuple[TrainPage, str, Any]]:
    """The page, the plan that it shows, and a request of the tab that does."""
    id = server.training.add(HELD)
    server.training.validated(id)
    async with gateway(server) as client:
        with gr.Blocks() as blocks:
            page = TrainPage(blocks, client)
        request = SimpleNamespace(session_hash="a", query_params={"job": id})
        assert (await page._arrive(request))[page._layout.start]["interactive"]
        yield page, id, request


def test_each_change_is_answered_whatever_was_said_before(server: ScriptedGateway) -> None:
    """Gradio does not hold back a second change while the first is being sent; so the page asks
    again after each, and must be told even what it should know."""

    async def test() -> None:
        async with arrived(server) as (page, id, request):
            start = page._layout.start
            whole = form_of(await page._look.job(id))
            half = replace(whole, epochs="1")
            for form in (replace(whole, name="another"), whole, half, whole, whole):
                view = await page._edited(id, request, *astuple(form))
                assert view[start]["interactive"] == (form == whole)
                # A look between two changes takes nothing back.
                seen = await page._see(id, request)
                assert seen.get(start, view[start])["interactive"] == (form == whole)

    run(test())


def test_what_is_chosen_for_another_job_is_not_compared(server: ScriptedGateway) -> None:
    async def test() -> None:
        async with arrived(server) as (page, _, request):
            old = astuple(Form(name="old"))
            assert page._layout.start not in await page._edited("ftjob-old", request, *old)

    run(test())
