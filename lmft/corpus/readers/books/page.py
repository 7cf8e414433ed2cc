"""What has been written of a page while its tree is walked: lines that can be taken back."""

from __future__ import annotations

import re
from typing import NamedTuple

from lmft.corpus.findings import Findings
from lmft.corpus.prose.line import Line

SPACE = re.compile(r"[ \t\n\r\f]+")
_CONTENTS = re.compile(r"\W*(?:table of )?contents\W*", re.IGNORECASE)


class Place(NamedTuple):
    """How much had been written at some time; sizes in characters of text outside headings."""

    n_lines: int
    size: int
    link_size: int
    n_links: int


class Page:
    """Attributes:
    lines: so far, an empty one behind each paragraph.
    heading: level of the heading that is open; all of it becomes one line.
    pre: how many `pre` are open; their line ends and spaces are kept.
    links: how many links are open.
    """

    def __init__(self, name: str, findings: Findings, number: int) -> None:
        self.lines: list[Line] = []
        self.heading = self.pre = self.links = 0
        self._name, self._findings, self._number = name, findings, number
        self._pieces: list[str] = []
        self._size = self._link_size = self._n_links = 0

    def add_text(self, text: str) -> None:
        text = text.replace("\u00ad", "")
        if self.pre:
            first, *others = text.split("\n")
            self._pieces.append(first)
            for line in others:
                self.end_line()
                self._pieces.append(line)
        else:
            self._pieces.append(SPACE.sub(" ", text))
        if not self.heading:
            size = len(text.strip())
            self._size += size
            self._link_size += size if self.links else 0

    def begin_cell(self) -> None:
        if self._pieces:
            self._pieces.append("\t")

    def begin_link(self) -> None:
        """Headings that lead back to the contents are no menu: theirs are not counted."""
        self.links += 1
        self._n_links += not self.heading

    def end_line(self) -> None:
        """The second of two line ends ends the paragraph: many pages set them apart so."""
        if self.heading:
            self._pieces.append(" ")
        elif not self._write_line():
            self.end_paragraph()

    def end_row(self) -> None:
        if not self.heading:
            self._write_line()

    def end_paragraph(self) -> None:
        if self.heading:
            self._pieces.append(" ")
            return
        self._write_line()
        if self.lines and self.lines[-1].text:
            self.lines.append(Line(self._number, ""))

    def end_heading(self) -> None:
        self._write_line()
        self.heading = 0
        self.end_paragraph()

    def place(self) -> Place:
        return Place(len(self.lines), self._size, self._link_size, self._n_links)

    def since(self, place: Place) -> Place:
        """How much has been written after `place`."""
        return Place(*(now - then for now, then in zip(self.place(), place, strict=True)))

    def take_back(self, place: Place) -> None:
        """Whole lines after `place` are navigation, and so is a heading that says "Contents"."""
        begin = place.n_lines
        if begin >= 2 and _CONTENTS.fullmatch(self.lines[begin - 2].text):
            begin -= 2
        self.report_lines(self.lines[begin:])
        del self.lines[begin:]
        _, self._size, self._link_size, self._n_links = place

    def report(self, reason: str, text: str) -> None:
        """Left out after the last line."""
        if text := SPACE.sub(" ", text).strip():
            number = max(self._number, 1)
            self._findings.drop(self._name, reason, text, number, number)

    def report_lines(self, lines: list[Line]) -> None:
        if text := "\n".join(line.text for line in lines).strip():
            self._findings.drop(self._name, "navigation", text, lines[0].number, lines[-1].number)

    def _write_line(self) -> bool:
        """False when there was nothing on it."""
        text = "".join(self._pieces)
        self._pieces.clear()
        if self.pre:
            text = text.rstrip()
        else:
            text = "\t".join(SPACE.sub(" ", cell).strip() for cell in text.split("\t")).strip()
        if not text.strip():
            return False
        if not self.lines or not self.lines[-1].text:
            self._number += 1
        self.lines.append(Line(self._number, text.replace("\u00a0", " "), self.heading))
        return True
