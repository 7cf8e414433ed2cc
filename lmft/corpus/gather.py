"""From files to documents on the spool, with everything counted on the way."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from lmft.corpus.cast import speaker_name
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
from lmft.corpus.survey.collect import Survey

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
    """What was read. `signatures` has one entry for each document of the spool."""

    files: list[FileInfo] = field(default_factory=list)
    survey: Survey = field(default_factory=Survey)
    signatures: Signatures = field(default_factory=Signatures)
    files_of: dict[Kind, list[str]] = field(default_factory=dict)
    n_stories: int = 0


def gather(
    sources: Sequence[SourceFile], spool: Spool, findings: Findings, progress: Progress
) -> Gathered:
    """Read every file. A bad one is a fault, leaves nothing behind, and the rest goes on."""
    gathered = Gathered()
    total = sum(source.n_bytes for source in sources)
    done = 0
    for source in sources:
        if source.siblings and source.suffix in _NO_TEXT_SUFFIXES:
            findings.note(f"{source.name}: left out, {source.suffix} files hold no text")
        else:
            first = len(spool)
            try:
                _read(source, spool, findings, gathered, progress, done, total)
            except Unreadable as error:
                findings.fault(source.name, error.message, line=error.line, byte=error.byte)
                spool.take_back(first)
        done += source.n_bytes
        progress("reading", done, total)
    return gathered


def _read(
    source: SourceFile,
    spool: Spool,
    findings: Findings,
    gathered: Gathered,
    progress: Progress,
    done: int,
    total: int,
) -> None:
    if source.n_bytes > MAX_FILE_BYTES:
        raise Unreadable(
            f"{source.n_bytes / 1e9:.1f} GB, the limit is {MAX_FILE_BYTES / 1e9:.1f} GB; split it"
        )
    reader, reason = choose(source)
    kinds: dict[Kind, None] = {}
    n_documents, n_repaired, n_read = 0, 0, 0
    gathered.n_stories += 1
    for whole in reader.read(source, findings):
        document, n_lines = _normalised(whole)
        n_repaired += n_lines
        kinds[document.kind] = None
        if document.begins:
            n_documents += 1
            gathered.n_stories += 1
        for part in cut(dataclasses.replace(document, story=gathered.n_stories)):
            text = part.words
            gathered.survey.add(part, text)
            gathered.signatures.add(text)
            spool.add(part)
            n_read += part.n_bytes
        progress("reading", done + min(n_read, source.n_bytes), total)
    if n_repaired:
        findings.note(f"{source.name}: mojibake repaired in {n_repaired} line(s)")
    for kind in kinds:
        gathered.files_of.setdefault(kind, []).append(source.name)
    gathered.files.append(
        FileInfo(
            name=source.name,
            n_bytes=source.n_bytes,
            reader=reader.name,
            reason=reason,
            kinds=tuple(kinds),
            n_documents=n_documents,
        )
    )


def _normalised(document: Document) -> tuple[Document, int]:
    """Mojibake repaired, speakers' names as they will stand before a colon."""
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
