"""Files from the browser, by way of Gradio's upload, to the server's own files.

Gradio writes what is dropped into a directory of its own, in this process. Each file is passed on
as it lies there, and its copy goes at once.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import gradio as gr

from ui import text_train as text
from ui.events import GatewayError
from ui.training.client import Jobs


@dataclass(frozen=True)
class Passed:
    """How far the files have come.

    Attributes:
        doing: which one is being passed on, in words; empty at the end.
        ids: of those that the server has taken. refused: sentences on the others.
    """

    doing: str
    ids: tuple[str, ...]
    refused: tuple[str, ...]


def drop_zone(label: str, file_count: Literal["multiple", "directory"], elem_id: str) -> gr.File:
    """Where files are dropped, or a folder. What a handler gets of it are paths."""
    return gr.File(label=label, file_count=file_count, height=132, elem_id=elem_id)


async def pass_on(jobs: Jobs, dropped: Sequence[str]) -> AsyncGenerator[Passed, None]:
    """One after the other; a file that is refused does not stop the next.

    However this ends, no copy is left.
    """
    ids: list[str] = []
    refused: list[str] = []
    # Two of the same name and content lie in one place.
    files = [Path(path) for path in dict.fromkeys(dropped)]
    try:
        for number, file in enumerate(files, start=1):
            doing = text.SENDING.format(number=number, count=len(files), name=file.name)
            yield Passed(doing, tuple(ids), tuple(refused))
            try:
                with file.open("rb") as content:
                    ids.append(await jobs.upload(file.name, content))
            except GatewayError as error:
                refused.append(text.REFUSED.format(name=file.name, message=error.message))
            except FileNotFoundError:
                refused.append(text.REFUSED.format(name=file.name, message=text.VANISHED))
    finally:
        for file in files:
            file.unlink(missing_ok=True)
    yield Passed("", tuple(ids), tuple(refused))


def refused_in_words(refused: Sequence[str], taken: Sequence[str]) -> str:
    """What stands above the sentences on the single files."""
    if not taken:
        return text.REFUSED_ALL
    return text.REFUSED_SOME.format(count=len(refused), all=len(refused) + len(taken))
