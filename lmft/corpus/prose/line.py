"""A line of prose on its way through the clean-ups."""

from __future__ import annotations

from typing import NamedTuple


class Line(NamedTuple):
    """Attributes:
    number: of the line in the file, from 1; of the page in a PDF; of the paragraph in HTML,
        EPUB and DOCX.
    heading: 1 to 6 where the source's markup says that this is a heading, else 0.
    """

    number: int
    text: str
    heading: int = 0
