"""Whether a plan can start with what is chosen, however the browser's events arrive."""

from __future__ import annotations

from dataclasses import astuple, replace
from types import SimpleNamespace
from typing import Any

import gradio as gr

from tests.browser.scripted import ScriptedGateway
from tests.unit.test_ui_train_files import HELD, _server, gateway, run, server
from ui.pages.train import TrainPage
from ui.training.form import Form, form_of

__all__ = ["_server", "server"]


def test_an_earlier_change_that_comes_last_does_not_keep_a_plan_from_starting(
    server: ScriptedGateway,
) -> None:
    """Gradio does not hold back a second change while the first is still being sent."""
    id = server.training.add(HELD)
    server.training.validated(id)

    async def test() -> None:
        async with gateway(server) as client:
            with gr.Blocks() as blocks:
                page = TrainPage(blocks, client)
            start = page._layout.start
            request: Any = SimpleNamespace(session_hash="a", query_params={"job": id})
            assert (await page._arrive(request))[start]["interactive"]
            whole = form_of(await page._look.job(id))
            half = replace(whole, epochs="1")

            def values(form: Form) -> list[Any]:
                return list(astuple(form))

            for form in (replace(whole, name="another"), whole, half):
                view = await page._edited(id, request, *values(form))
                assert view[start]["interactive"] == (form == whole)
            assert (await page._see(id, request, *values(whole)))[start]["interactive"]
            # Again, since the answer before may have reached the browser before an older one.
            assert (await page._see(id, request, *values(whole)))[start]["interactive"]

    run(test())


def test_what_is_chosen_for_another_job_is_not_compared(server: ScriptedGateway) -> None:
    id = server.training.add(HELD)
    server.training.validated(id)

    async def test() -> None:
        async with gateway(server) as client:
            with gr.Blocks() as blocks:
                page = TrainPage(blocks, client)
            request: Any = SimpleNamespace(session_hash="a", query_params={"job": id})
            await page._arrive(request)
            old = astuple(Form(name="old"))
            assert page._layout.start not in await page._edited("ftjob-old", request, *old)
            assert page._layout.start not in await page._see("ftjob-old", request, *old)

    run(test())
