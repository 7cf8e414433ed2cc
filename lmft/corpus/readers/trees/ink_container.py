"""Ink's compiled story as containers that a path can be followed through.

Format: Documentation/ink_JSON_runtime_format.md in https://github.com/inkle/ink. A container is
a list; its last element is null or holds containers that are reached by name only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

_COMPILERS_NAME = re.compile(r"[bs]|s\d+|c-\d+|\$r\d*")


class Container:
    """`index` is its place in its parent's content; None for one that is only named.

    `told` becomes true when some of its text is told.
    """

    __slots__ = ("content", "index", "name", "named", "parent", "told")

    def __init__(self, parent: Container | None, index: int | None, name: str) -> None:
        self.content: list[Any] = []
        self.named: dict[str, Container] = {}
        self.parent = parent
        self.index = index
        self.name = name
        self.told = False

    @property
    def path(self) -> str:
        """As Ink writes it; the same for the same place, so that it can be a key."""
        steps = []
        here = self
        while here.parent is not None:
            steps.append(here.name if here.index is None else str(here.index))
            here = here.parent
        return ".".join(reversed(steps))

    @property
    def has_writers_name(self) -> bool:
        """False for what the compiler names or nobody: branches, and the words of choices."""
        return bool(self.name) and not _COMPILERS_NAME.fullmatch(self.name)

    @property
    def text(self) -> str:
        """Its own words, without those of the containers in it."""
        words = (item for item in self.content if isinstance(item, str))
        return "".join(item[1:] for item in words if item.startswith("^"))


class Place(NamedTuple):
    """Before element number `offset` of a container's content."""

    container: Container
    offset: int


def load(root: list[Any]) -> Container:
    """The container of a JSON list, with all in it."""
    top = Container(None, None, "")
    waiting = [(top, root)]
    while waiting:
        container, elements = waiting.pop()
        last = elements[-1] if elements else None
        named = last if isinstance(last, dict) and not _is_instruction(last) else {}
        name = named.get("#n")
        if isinstance(name, str) and container.parent is not None:
            container.name = name
            container.parent.named.setdefault(name, container)
        plain = elements[:-1] if named or last is None or last == {} else elements
        for index, element in enumerate(plain):
            if isinstance(element, list):
                inner = Container(container, index, "")
                container.content.append(inner)
                waiting.append((inner, element))
            else:
                container.content.append(element)
        for key, element in named.items():
            if isinstance(element, list):
                inner = container.named[key] = Container(container, None, key)
                waiting.append((inner, element))
    return top


def everything(top: Container) -> Iterator[Container]:
    """A container and all in it, in the order of the file."""
    waiting = [top]
    while waiting:
        container = waiting.pop()
        yield container
        inside = [item for item in container.content if isinstance(item, Container)]
        inside += [item for item in container.named.values() if item.index is None]
        waiting += reversed(inside)


def resolve(path: str, here: Container, top: Container) -> Place | None:
    """Where a path leads from an instruction in `here`; None where there is nothing.

    A path that begins with a dot is relative to the instruction, and its first step, `^`, is
    the container that holds it.
    """
    steps = path.split(".")
    container = top
    if path.startswith("."):
        container, steps = here, steps[2:] if path.startswith(".^") else steps[1:]
    for number, step in enumerate(steps):
        if step == "^":
            if container.parent is None:
                return None
            container = container.parent
        elif step in container.named:
            container = container.named[step]
        elif step.isdecimal() and int(step[:9]) < len(container.content):
            item = container.content[int(step[:9])]
            if not isinstance(item, Container):
                return Place(container, int(step[:9])) if number == len(steps) - 1 else None
            container = item
        else:
            return None
    return Place(container, 0)


def _is_instruction(element: dict[str, Any]) -> bool:
    """Old compilers leave out the null at the end: the last element may be a divert."""
    return not any(
        key in ("#f", "#n") or isinstance(value, list) for key, value in element.items()
    ) and bool(element)
