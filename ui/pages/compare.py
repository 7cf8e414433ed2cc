"""The Compare page: two models, one beginning, one seed, truly side by side."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import gradio as gr

from ui import render, text
from ui.client import Gateway
from ui.merge import merge
from ui.models import choices
from ui.pages.compare_view import CompareLayout
from ui.pages.seeds import any_seed, read_seed
from ui.pages.wiring import EVENT, FORGET_MODEL, STREAM, View, look, session_of
from ui.running import Running
from ui.telling import Telling


class ComparePage:
    """Built inside a `gr.Blocks` context. Nothing is stored; every handler is a coroutine, as on
    the Play page."""

    def __init__(self, blocks: gr.Blocks, gateway: Gateway) -> None:
        self._gateway = gateway
        self._running = Running()
        self._layout = CompareLayout()
        self._wire(blocks)

    def _wire(self, blocks: gr.Blocks) -> None:
        page = self._layout
        chosen = [page.model_a, page.model_b]
        seen = [page.notice, page.timer, *chosen]
        arriving = blocks.load(self._arrive, chosen, seen, **EVENT)
        arriving.then(None, None, None, js=FORGET_MODEL, **EVENT)
        page.timer.tick(self._see, chosen, seen, **EVENT)
        page.refresh.click(self._see, chosen, seen, **EVENT)
        blocks.load(_throw_dice, None, page.seed, **EVENT)
        page.dice.click(_throw_dice, None, page.seed, **EVENT)
        page.run.click(
            self._run,
            [page.prompt, *chosen, page.seed, page.temperature, page.length],
            [page.notice, page.status, *page.columns, page.seed, page.run, page.stop],
            **STREAM,
        )
        page.stop.click(self._stop, None, None, **EVENT)
        # Gradio itself notices a closed tab only when the generator yields, and one that waits
        # for a model to load does not.
        blocks.unload(self._stop)

    async def _arrive(self, first: str | None, second: str | None, request: gr.Request) -> View:
        """A link from elsewhere may name the model to compare with its base."""
        return await self._see(first, request.query_params.get("model") or second)

    async def _see(self, first: str | None, second: str | None) -> View:
        """Look at the server; fill what is not chosen with the base and the newest adapter."""
        page = self._layout
        seen = await look(self._gateway, text.NO_ADAPTER_TO_COMPARE)
        best = seen.best if seen.best != seen.base else None
        b = seen.find(second) or best
        a = seen.find(first) or (seen.find(b.base) if b else None) or seen.base
        offered = choices(seen.models)
        return {
            page.notice: render.notice(seen.problem or seen.hint, alarm=bool(seen.problem)),
            page.timer: gr.update(active=seen.waiting),
            page.model_a: gr.update(choices=offered, value=a.id if a else None),
            page.model_b: gr.update(choices=offered, value=b.id if b else None),
        }

    async def _run(
        self,
        prompt: str,
        first: str | None,
        second: str | None,
        typed_seed: str,
        temperature: float,
        length: int,
        request: gr.Request,
    ) -> AsyncGenerator[View, None]:
        page = self._layout
        if not (prompt and prompt.strip() and first and second):
            yield {page.notice: render.notice(text.TWO_MODELS)}
            return
        try:
            seed = read_seed(typed_seed)
        except ValueError as error:
            yield {page.notice: render.notice(str(error))}
            return
        seed = any_seed() if seed is None else seed
        with self._running.answer(session_of(request)) as stop:
            if stop is None:
                yield {page.notice: render.notice(text.ALREADY_RUNNING)}
                return
            tellings = [Telling(), Telling()]
            yield page.busy(tellings) | {page.seed: str(seed)}
            # The same settings for both, or the difference seen would not be the weights'.
            same = {"seed": seed, "temperature": temperature, "max_tokens": length}
            streams = [self._gateway.complete(model, prompt, **same) for model in (first, second)]
            async with aclosing(merge(streams, stop=stop)) as news:
                async for updates in news:
                    for update in updates:
                        tellings[update.index].take(update)
                    yield page.show(tellings, {update.index for update in updates})
            for telling in tellings:
                telling.stop()
        yield page.ended(tellings)

    async def _stop(self, request: gr.Request) -> None:
        self._running.stop(session_of(request))


async def _throw_dice() -> str:
    return str(any_seed())
