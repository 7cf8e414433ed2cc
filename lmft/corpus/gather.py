"""From files to documents on the spool, with everything counted on the way."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from lmft.corpus.cast import SpeakerCount, speaker_name
from lmft.corpus.decode import Unreadable
from lmft.corpus.documents import Document, Kind, Message
from lmft.corpus.duplicates import Signatures
from lmft.corpus.findings import Findings
from lmft.corpus.info import FileInfo
from lmft.corpus.mojibake import repair
from lmft.corpus.parts import cut
from lmft.corpus.readers.registry import choose
from lmft.corpus.source import MAX_FILE_BYTES, SourceFile
from lmft.corpus.spool import Spool
from lmft.corpus.survey.speakers import count_speakers

Progress = Callable[[str, int, int], None]
"""Called with the stage, and how much of how much of it is done."""

# What a folder may well hold beside the text; said, but no fault.
_NO_TEXT_SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg", ".ico", ".bmp"),
    *(".mp3", ".ogg", ".wav", ".flac", ".m4a", ".mp4", ".mkv", ".webm", ".avi"),
    *(".zip", ".gz", ".xz", ".bz2", ".7z", ".rar", ".tar"),
    *(".css", ".js", ".ttf", ".otf", ".woff", ".woff2", ".exe", ".dll", ".so", ".pyc"),
)


@dataclass
class Gathered:
    """What was read.

    Attributes:
        asked, learnt: signatures of the two sides of each document of the spool: only what is
            alike in both is a repeat, or all answers to one question would be.
        uncast: turns of the speakers of logs and scripts that do not say who the model is.
    """

    files: list[FileInfo] = field(default_factory=list)
    asked: Signatures = field(default_factory=Signatures)
    learnt: Signatures = field(default_factory=Signatures)
    uncast: dict[str, SpeakerCount] = field(default_factory=dict)
    files_of: dict[Kind, list[str]] = field(default_factory=dict)


def gather(
    sources: Sequence[SourceFile], spool: Spool, findings: Findings, progress: Progress
) -> Gathered:
    """Read every file. A bad one is a fault, leaves nothing behind, and the rest goes on."""
    gathered = Gathered()
    total = sum(source.n_bytes for source in sources)
    done = 0
    n_left_out: Counter[str] = Counter()
    for source in sources:
        if source.siblings and source.suffix in _NO_TEXT_SUFFIXES:
            n_left_out[source.suffix] += 1
        else:
            first = len(spool)
            try:
                read = _Reading(source, spool, gathered, progress, done, total).run(findings)
                _keep(read, gathered)
            except Unreadable as error:
                findings.fault(source.name, error.message, line=error.line, byte=error.byte)
                spool.take_back(first)
            except OSError as error:
                findings.fault(source.name, f"cannot be read: {os.strerror(error.errno or 0)}")
                spool.take_back(first)
        done += source.n_bytes
        progress("reading", done, total)
    for suffix, count in n_left_out.items():
        findings.note(f"{count} {suffix} file(s) left out: they hold no text")
    return gathered


@dataclass
class _Reading:
    """One file on its way. What it counts is kept only once the whole file was good."""

    source: SourceFile
    spool: Spool
    gathered: Gathered
    progress: Progress
    done: int
    total: int
    kinds: dict[Kind, None] = field(default_factory=dict)
    uncast: dict[str, SpeakerCount] = field(default_factory=dict)
    reader: str = ""
    reason: str = ""
    n_documents: int = 0

    def run(self, findings: Findings) -> _Reading:
        source, spool = self.source, self.spool
        if source.n_bytes > MAX_FILE_BYTES:
            size, limit = source.n_bytes / 1e9, MAX_FILE_BYTES / 1e9
            raise Unreadable(f"{size:.1f} GB, the limit is {limit:.1f} GB; split it")
        reader, self.reason = choose(source)
        self.reader = reader.name
        story = spool.stories[-1] if spool.stories else -1
        part, n_repaired, n_read = 0, 0, 0
        for whole in reader.read(source, findings):
            document, n_lines = _normalised(whole)
            n_repaired += n_lines
            self.kinds[document.kind] = None
            if document.begins or not self.n_documents:
                self.n_documents += 1
                story, part = story + 1, 0
            for piece in cut(document):
                self._add(dataclasses.replace(piece, story=story, part=part))
                part += 1
                n_read += piece.n_bytes
            self.progress("reading", self.done + min(n_read, source.n_bytes), self.total)
        if n_repaired:
            findings.note(f"{source.name}: mojibake repaired in {n_repaired} line(s)")
        return self

    def _add(self, document: Document) -> None:
        self.gathered.asked.add(document.asked)
        self.gathered.learnt.add(document.learnt)
        self.spool.add(document)
        if document.uncast:
            count_speakers(document, self.uncast)


def _keep(read: _Reading, gathered: Gathered) -> None:
    for name, count in read.uncast.items():
        before = gathered.uncast.get(name, SpeakerCount(0, 0))
        gathered.uncast[name] = SpeakerCount(
            before.turns + count.turns, before.n_bytes + count.n_bytes
        )
    for kind in read.kinds:
        gathered.files_of.setdefault(kind, []).append(read.source.name)
    gathered.files.append(
        FileInfo(
            name=read.source.name,
            n_bytes=read.source.n_bytes,
            reader=read.reader,
            reason=read.reason,
            kinds=tuple(read.kinds),
            n_documents=read.n_documents,
        )
    )


def _normalised(document: Document) -> tuple[Document, int]:
    """Mojibake repaired, speakers' names as they will stand before a colon."""
    if document.retold:
        # A repair changes lengths, and with them the places of what is retold.
        return document, 0
    text, n_repaired = repair(document.text)
    if not (document.messages or document.chosen):
        return (dataclasses.replace(document, text=text) if n_repaired else document), n_repaired
    sides: list[tuple[Message, ...]] = []
    for turns in (document.messages, document.chosen, document.rejected):
        side: list[Message] = []
        for turn in turns:
            content, n_lines = repair(turn.content)
            n_repaired += n_lines
            name = speaker_name(repair(turn.name)[0]) if turn.name else None
            side.append(dataclasses.replace(turn, content=content, name=name))
        sides.append(tuple(side))
    changed = dataclasses.replace(document, messages=sides[0], chosen=sides[1], rejected=sides[2])
    return changed, n_repaired
