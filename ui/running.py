"""What the server keeps of each open browser tab, by Gradio's session hash."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

from ui.saved import from_json
from ui.story import Story

KEPT_STORIES = 1000


class Running:
    """Stop flags: one tab, one answer at a time.

    Gradio's own `cancels=` would kill the generator before it can put the half-told reply into
    the story. A flag lets it end by itself: the upstream request is closed, the words are kept.
    """

    def __init__(self) -> None:
        self._flags: dict[str, asyncio.Event] = {}

    @contextmanager
    def answer(self, session: str) -> Iterator[asyncio.Event | None]:
        """The flag to watch; None when this tab is being answered already."""
        if session in self._flags:
            yield None
            return
        flag = self._flags[session] = asyncio.Event()
        try:
            yield flag
        finally:
            del self._flags[session]

    def is_busy(self, session: str) -> bool:
        return session in self._flags

    def stop(self, session: str) -> None:
        if flag := self._flags.get(session):
            flag.set()


class Stories:
    """The newest version of each open tab's story.

    Gradio hands a handler what the browser held when the event was sent. Two that overlap (a
    narrator is chosen, and a line sent before the server has answered) would both build on that
    old version, and the later would wipe out the earlier. So between two events the story is
    here; the browser's copy is what survives a reload, or this server's end.
    """

    def __init__(self) -> None:
        self._stories: OrderedDict[str, Story] = OrderedDict()

    def get(self, session: str, saved: object) -> Story:
        """The tab's story; the browser's copy where none is known."""
        return self._stories.get(session) or from_json(saved)

    def put(self, session: str, story: Story) -> Story:
        self._stories[session] = story
        self._stories.move_to_end(session)
        if len(self._stories) > KEPT_STORIES:
            # A tab that vanished without a word; should it come back, its browser still knows.
            self._stories.popitem(last=False)
        return story

    def forget(self, session: str) -> None:
        self._stories.pop(session, None)
