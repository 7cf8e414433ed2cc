"""From what was read to what is learnt: one kind, roles for all speakers, repeats left out."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from lmft.corpus.cast import Cast, cast_document
from lmft.corpus.documents import Document, Kind
from lmft.corpus.findings import Findings
from lmft.corpus.gather import Gathered, Progress
from lmft.corpus.kinds import TALK, TEXT, as_kind
from lmft.corpus.parts import cut
from lmft.corpus.prose.parts import PART_BYTES
from lmft.corpus.split import ENOUGH
from lmft.corpus.spool import Spool
from lmft.format.contract import Speakers

_MIN_PART_BYTES = 500
_MAX_PAIRS_KEPT = 200


@dataclass
class Repeats:
    """Documents left out because an earlier one says the same: all counted, the first named."""

    count: int = 0
    pairs: list[tuple[str, str]] = field(default_factory=list)

    def add(self, source: str, first: str) -> None:
        self.count += 1
        if len(self.pairs) < _MAX_PAIRS_KEPT:
            self.pairs.append((source, first))


def convert(
    spool: Spool,
    compiled: Spool,
    gathered: Gathered,
    kind: Kind,
    cast: Cast | None,
    findings: Findings,
    progress: Progress,
) -> Repeats:
    """Write what is left of `spool` to `compiled`."""
    likes = _likes(gathered)
    firsts = np.full(int(likes.max(initial=-1)) + 1, -1, dtype=np.int64)
    repeats = Repeats()
    repeated: list[tuple[int, str]] = []
    writer = _Writer(compiled)
    cast_files = _CastFiles()
    for index, document in spool.documents():
        progress("comparing", index, len(spool))
        converted = as_kind(document, kind)
        if converted is None:
            reason = f"{document.kind}, which cannot become {kind}"
            findings.drop(document.source, reason, document.words, 0, 0)
            continue
        if converted.uncast and cast is not None and kind in TALK:
            played = cast_document(converted, cast)
            cast_files.see(document, is_played=played is not None)
            if played is None:
                findings.drop(document.source, f"no word of {cast.model}", document.words, 0, 0)
                continue
            converted = played
        elif cast is not None and kind in TALK:
            converted = _with_plain_names(converted)
        first = firsts[likes[index]]
        if first >= 0:
            repeats.count += 1
            if len(repeated) < _MAX_PAIRS_KEPT:
                repeated.append((int(first), document.source))
            writer.leave_out_repeat(converted)
            continue
        firsts[likes[index]] = index
        writer.write(converted, is_scene=document.uncast and document.scene > 0 and kind in TEXT)
    writer.finish()
    cast_files.report(cast, findings)
    sources = _sources(spool, {first for first, _ in repeated})
    repeats.pairs = [(source, sources[first]) for first, source in repeated]
    return repeats


@dataclass
class _CastFiles:
    """In which files the one whom the model plays speaks at all."""

    n_played: Counter[str] = field(default_factory=Counter)
    n_documents: Counter[str] = field(default_factory=Counter)

    def see(self, document: Document, *, is_played: bool) -> None:
        name = _file(document)
        self.n_documents[name] += 1
        self.n_played[name] += is_played

    def report(self, cast: Cast | None, findings: Findings) -> None:
        for name in self.n_documents:
            if cast is not None and not self.n_played[name]:
                findings.note(
                    f"{name}: left out whole, {cast.model} does not speak in it; compile it by "
                    "itself, or choose who plays with --model-plays"
                )


def _with_plain_names(document: Document) -> Document:
    """Roles without names keep them: they are none of the cast of another file."""
    defaults = Speakers()
    plain = {"user": defaults.user, "assistant": defaults.assistant}
    messages = tuple(
        dataclasses.replace(turn, name=turn.name or plain.get(turn.role))
        for turn in document.messages
    )
    return dataclasses.replace(document, messages=messages)


def _likes(gathered: Gathered) -> npt.NDArray[np.int64]:
    """For each document the number of those that are like it on both sides."""
    asked, learnt = gathered.asked.clusters(), gathered.learnt.clusters()
    _, likes = np.unique(asked * max(1, len(learnt)) + learnt, return_inverse=True)
    numbers: npt.NDArray[np.int64] = likes.reshape(-1).astype(np.int64)
    return numbers


def _sources(spool: Spool, wanted: set[int]) -> dict[int, str]:
    if not wanted:
        return {}
    return {index: document.source for index, document in spool.documents() if index in wanted}


class _Writer:
    """Writes one document behind, to know what comes after it.

    A story whose end was a repeat (a publisher's notes, say) ends where its last whole scene
    does; where a scene breaks off, there is no end.
    """

    def __init__(self, compiled: Spool) -> None:
        self._compiled = compiled
        self._held: Document | None = None
        self._repeats: list[Document] = []

    def write(self, document: Document, *, is_scene: bool) -> None:
        """`is_scene`: it goes on with the script before it: conversations, but one story."""
        held = self._held
        if is_scene and held is not None and _file(held) == _file(document):
            document = dataclasses.replace(
                document, story=held.story, part=held.part + 1, begins=False
            )
            self._held = dataclasses.replace(held, text=held.text.rstrip("\n") + "\n\n", ends=False)
        if held is not None and held.story != document.story:
            self.finish()
        elif self._held is not None:
            self._compiled.add(self._held)
        self._held, self._repeats = document, []

    def leave_out_repeat(self, document: Document) -> None:
        if self._held is not None and document.story == self._held.story:
            self._repeats.append(document)

    def finish(self) -> None:
        """Write the last part of a story."""
        held, repeats = self._held, self._repeats
        if held is None:
            return
        if repeats and repeats[-1].ends and repeats[0].scene != held.scene:
            held = dataclasses.replace(held, text=held.text.rstrip("\n"), ends=True)
        self._compiled.add(held)
        self._held, self._repeats = None, []


def _file(document: Document) -> str:
    name, colon, line = document.source.rpartition(":")
    return name if colon and line.isdigit() else document.source


def needs_finer_parts(compiled: Spool) -> bool:
    """Whether holding out a part of so few would be an accident."""
    n_groups = max(len(set(compiled.stories)), len(set(compiled.scenes)))
    return n_groups < ENOUGH and len(compiled) < 2 * ENOUGH


def cut_finer(compiled: Spool, finer: Spool) -> None:
    """The same documents in smaller parts, about twice ENOUGH of them."""
    part_bytes = max(_MIN_PART_BYTES, min(PART_BYTES, sum(compiled.sizes) // (2 * ENOUGH)))
    for part in _renumbered(compiled, part_bytes):
        finer.add(part)


def _renumbered(compiled: Spool, part_bytes: int) -> Iterator[Document]:
    """Parts of parts, numbered through; a number stays missing where a part is."""
    story, before, number = -1, -1, -1
    for _, document in compiled.documents():
        if document.story != story:
            story, before, number = document.story, document.part - 1, -1
        number += document.part != before + 1
        before = document.part
        for part in cut(document, part_bytes):
            number += 1
            yield dataclasses.replace(part, part=number)
