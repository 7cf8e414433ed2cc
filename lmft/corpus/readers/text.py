"""Plain text and Markdown: what no other reader knows.

A file is one story, unless it marks several with `<|endoftext|>` (AI Dungeon's old format, and
what most trainers write). `<|startoftext|>` says nothing that the other mark does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lmft.corpus.decode import Unreadable
from lmft.corpus.documents import Document
from lmft.corpus.findings import Findings
from lmft.corpus.prose.line import Line
from lmft.corpus.prose.story import story_documents
from lmft.corpus.readers.markdown import markdown_lines
from lmft.corpus.readers.reader import Reader
from lmft.corpus.sentences import breaks_off, capitalises, goes_on
from lmft.corpus.source import SourceFile

_END, _START = "<|endoftext|>", "<|startoftext|>"
# A story is cleaned in windows of this many characters or lines: a line of verse takes far more
# memory than its letters do.
_WINDOW_CHARACTERS = 8 << 20
_WINDOW_LINES = 1 << 18
_MARKDOWN = (".md", ".markdown")
# A file that names its format is not prose when that format's reader did not know it.
_NAMED_FORMATS = {
    ".json": "JSON of a shape that lmft does not know",
    ".jsonl": "JSON lines of a shape that lmft does not know",
    ".csv": "a table without a column that lmft knows (text; prompt, completion; ...)",
    ".tsv": "a table without a column that lmft knows (text; prompt, completion; ...)",
    ".yaml": "YAML that is not Rasa training data",
    ".yml": "YAML that is not Rasa training data",
    ".html": "HTML without text",
    ".htm": "HTML without text",
    ".epub": "not an EPUB book",
    ".docx": "not a DOCX document",
    ".pdf": "not a PDF document",
}
# Texts cut out of larger ones begin anywhere; chunks of a fixed length nearly all do.
_MAX_MID_SENTENCE_SHARE = 1 / 3
_WORD = re.compile(r"\w")


def sniff(source: SourceFile) -> str | None:
    if source.suffix in _MARKDOWN:
        return "Markdown"
    if _END in source.head_text or _START in source.head_text:
        return f"text with {_END} between documents"
    return "plain text"


def read(source: SourceFile, findings: Findings) -> Iterator[Document]:
    """Raises Unreadable for a file that is no text or says that it is something else."""
    if reason := _NAMED_FORMATS.get(source.suffix):
        raise Unreadable(reason)
    if source.encoding.note:
        findings.note(f"{source.name}: {source.encoding.note}")
    lines: Iterator[Line] = (Line(number, text) for number, text in enumerate(source.lines(), 1))
    if source.suffix in _MARKDOWN:
        lines = markdown_lines(source.name, lines, findings)
    empty = True
    stories = _Stories(lines)
    for windows in stories:
        for document in story_documents(source.name, windows, findings, wrapped=None):
            empty = False
            yield document
    if empty:
        raise Unreadable("holds no text, only white space or what was dropped")
    _judge_marks(source.name, stories, findings)


def _judge_marks(name: str, stories: _Stories, findings: Findings) -> None:
    """End marks inside sentences teach the model to stop anywhere.

    Raises Unreadable where they are many.
    """
    if not stories.mid_sentence or not stories.capitalised:
        return
    n_bad, n_marks = len(stories.mid_sentence), stories.n_marks
    if n_bad > _MAX_MID_SENTENCE_SHARE * n_marks:
        raise Unreadable(
            f"{n_bad} of {n_marks} {_END} marks stand inside a sentence, the first before this "
            "line; put them only where a story ends",
            line=stories.mid_sentence[0],
        )
    findings.note(
        f"{name}: {n_bad} of {n_marks} {_END} marks seem to stand inside a sentence, the "
        f"first before line {stories.mid_sentence[0]}"
    )


class _Stories:
    """The stories of a file, each as an iterator of windows that must be used up in turn.

    Attributes:
        n_marks: end marks so far. mid_sentence: lines before which one stands in mid-sentence.
        capitalised: whether sentences begin in upper case, at least one so far.
    """

    def __init__(self, lines: Iterator[Line]) -> None:
        self._lines = lines
        self._pending: list[Line] = []
        self._last, self._before_mark = "", ""
        self._more = True
        self.n_marks = 0
        self.mid_sentence: list[int] = []
        self.capitalised = False

    def __iter__(self) -> Iterator[Iterator[list[Line]]]:
        while self._more:
            yield self._windows()

    def _windows(self) -> Iterator[list[Line]]:
        window: list[Line] = []
        size = 0
        for line in self._next_lines():
            # Cut where a paragraph ends, or anywhere once it is far too long.
            filled = max(size / _WINDOW_CHARACTERS, len(window) / _WINDOW_LINES)
            if filled > 1 and (not line.text.strip() or filled > 2):
                yield window
                window, size = [], 0
            window.append(line)
            size += len(line.text) + 1
        if window:
            yield window

    def _next_lines(self) -> Iterator[Line]:
        """Lines up to the next end mark."""
        first = True
        while True:
            line = self._pending.pop() if self._pending else next(self._lines, None)
            if line is None:
                self._more = False
                return
            text = line.text.replace(_START, "") if _START in line.text else line.text
            before, mark, after = text.partition(_END)
            self.capitalised = self.capitalised or capitalises(before)
            if first and _WORD.search(before):
                self._check_mark(line.number, before)
                first = False
            if not mark:
                if text.strip():
                    self._last = text
                yield line._replace(text=text)
                continue
            if before.strip():
                self._last = before
                yield line._replace(text=before)
            if after.strip():
                self._pending.append(line._replace(text=after))
            self._before_mark = self._last
            self.n_marks += 1
            return

    def _check_mark(self, number: int, beginning: str) -> None:
        if breaks_off(self._before_mark) and goes_on(beginning):
            self.mid_sentence.append(number)


READER = Reader("text", sniff, read)
