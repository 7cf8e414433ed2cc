"""Ink's machine, as far as a story can be followed without playing it.

Variables have their first values and nothing has been seen before. A condition that depends on
what only a game knows counts as true: its first branch is told.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from lmft.corpus.readers.trees.ink_calls import Call, Frame, Option, Return, take_words, tunnels
from lmft.corpus.readers.trees.ink_container import Container, Place, resolve
from lmft.corpus.readers.trees.ink_text import GLUE, ends_line
from lmft.corpus.readers.trees.ink_values import compute, pop, shown

_MAX_JUMPS = 100
_MAX_FRAMES = 16
_CALLS: dict[str, Call | None] = {"->": None, "f()": "function", "->t->": "tunnel"}


@dataclass
class Machine:
    """Attributes:
    here: the element to obey next; None when the story stops.
    frames: the story itself and the tunnels that it is in, the innermost last.
    n_unknown: values in the text that only a game knows.
    """

    top: Container
    here: Place | None
    values: dict[str, Any]
    frames: list[Frame]
    stack: list[Any] = field(default_factory=list)
    out: list[str] = field(default_factory=list)
    options: list[Option] = field(default_factory=list)
    n_unknown: int = 0
    _marks: list[int] = field(default_factory=list)
    _jumps: Counter[tuple[Container, int]] = field(default_factory=Counter)
    _threading: bool = False

    def step(self, here: Place) -> int:
        """Obey one element; how many characters it told."""
        container, index = here
        if index >= len(container.content):
            self._leave(container)
            return 0
        item = container.content[index]
        self.here = Place(container, index + 1)
        if isinstance(item, Container):
            self.here = Place(item, 0)
        elif isinstance(item, int | float):
            self.stack.append(item)
        elif isinstance(item, dict):
            self._instruction(item, here)
        elif isinstance(item, str) and (item[:1] == "^" or item in ("\n", "<>")):
            self._tell(item, container)
            return len(item)
        elif isinstance(item, str) and not compute(item, self.stack):
            self._command(item)
        return 0

    def _leave(self, container: Container) -> None:
        """Go on behind a container, or where its caller stands."""
        back = self.frames[-1].back
        if container.parent is not None and container.index is not None:
            self.here = Place(container.parent, container.index + 1)
        elif back is not None and back.kind != "tunnel":
            if back.kind == "function":
                self.stack.append("")
            self._return(back.kind)
        else:
            self.here = None

    def _return(self, kind: Call) -> None:
        """End the innermost of its kind and what it called; without one the story stops."""
        self.here = None
        while len(self.frames) > 1:
            frame = self.frames.pop()
            back = frame.back
            if back is not None and back.kind == "function":
                # What a function says stands within a line.
                self.out[frame.mark :] = ["".join(self.out[frame.mark :]).strip()]
            if back is not None and back.kind == kind:
                self.here = back.place
                return

    def _tell(self, item: str, container: Container) -> None:
        if self.frames[-1].evaluating:
            self.stack.append(item.removeprefix("^"))
        elif item == "<>":
            self.out.append(GLUE)
        else:
            container.told = True
            self.out.append(item.removeprefix("^").replace(GLUE, ""))

    def _command(self, name: str) -> None:
        frame = self.frames[-1]
        if name in ("ev", "/ev"):
            frame.evaluating = name == "ev"
        elif name in ("str", "#"):
            self._marks.append(len(self.out))
            frame.evaluating = frame.evaluating and name == "#"
        elif name in ("/str", "/#") and self._marks:
            mark = self._marks.pop()
            if name == "/str":
                self.stack.append("".join(self.out[mark:]))
                frame.evaluating = True
            del self.out[mark:]
        elif name == "out":
            text = shown(pop(self.stack))
            self.n_unknown += text is None
            self.out.append(text or "")
        elif name == "choiceCnt":
            self.stack.append(len(self.options))
        elif name == "thread":
            self._threading = True
        elif name == "~ret":
            self._return("function")
        elif name == "->->":
            self._return("tunnel")
            if isinstance(onward := pop(self.stack), Place):
                self.here = onward
        elif name == "done":
            self._return("thread")
        elif name == "end":
            self.here = None
            self.options.clear()

    def _instruction(self, item: dict[str, Any], here: Place) -> None:
        key = next(iter(item), "")
        target = item.get(key)
        if key == "x()":
            count = item.get("exArgs")
            for _ in range(min(count, len(self.stack)) if isinstance(count, int) else 0):
                self.stack.pop()
            self.stack.append(None)
        elif key in ("^var", "list", "CNT?"):
            self.stack.append(0 if key == "CNT?" else None)
        elif not isinstance(target, str):
            return
        elif key in _CALLS:
            self._jump(_CALLS[key], target, item, here)
        elif key == "*":
            words = take_words(item.get("flg"), self.stack)
            place = resolve(target, here.container, self.top)
            self.options.append(Option(words, target, place, tunnels(self.frames)))
        elif key == "^->":
            self.stack.append(resolve(target, here.container, self.top))
        elif key == "VAR?":
            self.stack.append(self._value(target))
        elif key == "temp=":
            self.frames[-1].temporary[target] = pop(self.stack)
        elif key == "VAR=":
            self.values[target] = pop(self.stack)

    def _value(self, name: str) -> Any:
        return self.frames[-1].temporary.get(name, self.values.get(name))

    def _jump(self, call: Call | None, target: str, item: dict[str, Any], here: Place) -> None:
        onward = self.here
        if item.get("c") is True and pop(self.stack) in (0, ""):
            return
        place = (
            self._value(target)
            if item.get("var") is True
            else resolve(target, here.container, self.top)
        )
        if self._threading:
            call, self._threading = "thread", False
        circles = self._jumps[here] >= _MAX_JUMPS or len(self.frames) > _MAX_FRAMES
        if not isinstance(place, Place) or circles:
            # A function that cannot be called gives nothing; a way that is lost stops here.
            self.here = onward if call and not circles else None
            if self.here is None:
                self.options.append(Option("", target, None, ()))
            return
        self._jumps[here] += 1
        if call is None and self._is_meeting_point(place):
            self.options.append(Option("", target, place, tunnels(self.frames)))
            self.here = None
            return
        if call and onward is not None:
            self.frames.append(Frame(Return(call, onward), mark=len(self.out)))
        self.here = place

    def _is_meeting_point(self, place: Place) -> bool:
        """True for a knot, stitch or gather, which others may lead to: a passage of its own.

        Not where a line, a function, a thread or an argument is under way.
        """
        return (
            place.offset == 0
            and place.container.has_writers_name
            and not (self.options or self.stack or self._marks)
            and all(frame.back is None or frame.back.kind == "tunnel" for frame in self.frames)
            and ends_line(self.out)
        )
