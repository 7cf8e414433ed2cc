"""What the server keeps of each open tab of the Train page.

Gradio hands a handler what the browser held when the event was sent. A look at the old job that
is under way while another is chosen must not bring the old one back; so which job a tab shows is
kept here, and its looks come one after the other.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from ui.pages.wiring import View
from ui.training.job import Job

_KEPT_TABS = 1000


@dataclass
class Tab:
    """
    Attributes:
        job: id of the one that is shown; None before the page has said so.
        seen: that job as it was at the last look.
        lock: held while what it shows is found out.
    """

    job: str | None = None
    seen: Job | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _shown: dict[Any, Any] = field(default_factory=dict)

    def news(self, view: View) -> View:
        """The part of `view` that is not shown yet: an element that is drawn anew loses what the
        reader unfolded, marked or scrolled in it."""
        return {part: value for part, value in view.items() if self.differs(part, value)}

    def differs(self, part: Any, value: Any) -> bool:
        """Whether something else is shown there; from now on it is `value`."""
        if self.shows(part, value):
            return False
        self._shown[part] = value
        return True

    def shows(self, part: Any, value: Any) -> bool:
        return part in self._shown and bool(self._shown[part] == value)

    def begin(self, job: str) -> None:
        """Another job, or a fresh page: nothing of it is shown yet."""
        self.job, self.seen = job, None
        self._shown.clear()


class Tabs:
    """By Gradio's session hash."""

    def __init__(self) -> None:
        self._tabs: OrderedDict[str, Tab] = OrderedDict()

    def of(self, session: str) -> Tab:
        tab = self._tabs.setdefault(session, Tab())
        self._tabs.move_to_end(session)
        if len(self._tabs) > _KEPT_TABS:
            # A tab that vanished without a word; should it come back, its browser still knows.
            self._tabs.popitem(last=False)
        return tab

    def forget(self, session: str) -> None:
        self._tabs.pop(session, None)
