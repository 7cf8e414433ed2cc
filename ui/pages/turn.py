"""Send, Continue and Retry: one turn, from the button to the story."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from enum import Enum

import gradio as gr

from ui import render, text
from ui.client import Gateway
from ui.events import Event
from ui.merge import Update, merge
from ui.pages.play_view import PlayLayout
from ui.pages.seeds import SEEDS, any_seed, read_seed
from ui.pages.wiring import View, session_of
from ui.running import Running, Stories
from ui.saved import to_json
from ui.story import Mode, PlayerLine, Reply, Story
from ui.telling import Telling, explain, is_starting


class Intent(Enum):
    SEND = "send"
    CONTINUE = "continue"
    RETRY = "retry"


@dataclass(frozen=True)
class Desk:
    """What a turn is told with."""

    page: PlayLayout
    gateway: Gateway
    running: Running
    stories: Stories


def turn_handler(intent: Intent, desk: Desk) -> Callable[..., AsyncGenerator[View, None]]:
    """The generator that Gradio runs for one of the three buttons."""
    page, stories = desk.page, desk.stories

    async def handler(
        saved: object,
        typed: str,
        mode: Mode,
        model: str | None,
        temperature: float,
        length: int,
        typed_seed: str,
        request: gr.Request,
    ) -> AsyncGenerator[View, None]:
        session = session_of(request)
        story = stories.get(session, saved)
        if intent is Intent.RETRY:
            if not story.steps:
                return
            told, line = story.without_last_reply()
        else:
            told, line = story, _typed(intent, typed, mode)
        turns = told.turns(line)
        if not model or not turns:
            yield {page.notice: render.notice(text.STORY_EMPTY if model else text.NO_MODEL)}
            return
        try:
            seed = _seed(typed_seed, story, intent)
        except ValueError as error:
            yield {page.notice: render.notice(str(error))}
            return
        with desk.running.answer(session) as stop:
            if stop is None:
                yield {page.notice: render.notice(text.ALREADY_RUNNING)}
                return
            sent = line if intent is Intent.SEND else None
            story = stories.put(session, story.asked(sent))
            view = page.busy(told, line) | {page.saved: to_json(story)}
            yield view | ({page.box: ""} if sent else {})
            telling = Telling()
            stream = desk.gateway.play(
                model, turns, seed=seed, temperature=temperature, max_tokens=length
            )
            async with aclosing(merge([stream], stop=stop)) as news:
                async for view in _growing(news, telling, page, told, line):
                    yield view
            telling.stop()
            story = stories.get(session, saved)
            if problem := _problem(telling):
                view = page.failed(story, problem, telling)
                # Where the notice says "not ready", the timer takes it away when that is over.
                view[page.timer] = gr.update(active=is_starting(telling.error))
            else:
                reply = _reply(telling, seed)
                if intent is Intent.RETRY:
                    story = story.retold(reply)
                else:
                    story = story.told(_shown(line, telling), reply)
                view = page.told(stories.put(session, story), asked=model)
        yield view

    return handler


async def _growing(
    news: AsyncIterator[list[Update[Event]]],
    telling: Telling,
    page: PlayLayout,
    told: Story,
    line: PlayerLine | None,
) -> AsyncIterator[View]:
    """The reply as it comes; the story above it only when the server has put the line into it."""
    async for updates in news:
        for update in updates:
            telling.take(update)
        if telling.state != "running":
            continue
        view: View = {page.live: render.live(telling, told.speakers)}
        if (shown := _shown(line, telling)) != line:
            view[page.story] = render.story(told, shown, busy=True)
            line = shown
        yield view


def _shown(line: PlayerLine | None, telling: Telling) -> PlayerLine | None:
    """The player's line as the server rendered it, once it has."""
    return replace(line, shown=telling.player) if line and telling.player else line


def _typed(intent: Intent, typed: str, mode: Mode) -> PlayerLine | None:
    """The player's line; an empty one is a Continue, and Continue leaves the box alone."""
    words = (typed or "").strip()
    return PlayerLine(mode, words) if words and intent is Intent.SEND else None


def _seed(typed: str, story: Story, intent: Intent) -> int:
    """The seed to send: always one, so that the page can say which made the reply."""
    seed = read_seed(typed)
    if seed is None:
        return any_seed()
    tries = len(story.steps[-1].replies) if intent is Intent.RETRY else 0
    return (seed + tries) % SEEDS


def _problem(telling: Telling) -> str:
    """Why there is no reply to put into the story; empty when there is one."""
    if telling.error:
        return explain(telling.error)
    if telling.said.strip():
        return ""
    return text.STOPPED_EMPTY if telling.finish == "stopped" else text.EMPTY_REPLY


def _reply(telling: Telling, seed: int) -> Reply:
    return Reply(
        text=telling.said.strip(),
        model=telling.model,
        adapter=telling.adapter,
        finish=telling.finish,
        seed=seed,
        tokens=telling.tokens,
        dropped=telling.dropped,
    )
