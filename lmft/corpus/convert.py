"""From what was read to what is learnt: one kind, roles for all speakers, repeats left out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from lmft.corpus.cast import Cast, cast_document
from lmft.corpus.documents import Document, Kind
from lmft.corpus.duplicates import Signatures
from lmft.corpus.findings import Findings
from lmft.corpus.gather import Progress
from lmft.corpus.kinds import TALK, as_kind
from lmft.corpus.parts import PART_BYTES, cut
from lmft.corpus.split import ENOUGH
from lmft.corpus.spool import Spool

_MIN_PART_BYTES = 500


def convert(
    spool: Spool,
    compiled: Spool,
    signatures: Signatures,
    kind: Kind,
    cast: Cast | None,
    findings: Findings,
    progress: Progress,
) -> list[tuple[str, str]]:
    """Write what is left of `spool` to `compiled`; returns (source, source of the first) of
    each repeat that was left out."""
    progress("comparing", 0, len(spool))
    firsts = signatures.clusters()
    kept: dict[int, str] = {}
    duplicates: list[tuple[str, str]] = []
    other_kind: Counter[str] = Counter()
    for index, document in spool.documents():
        progress("comparing", index, len(spool))
        converted = _converted(document, kind, cast, findings)
        if converted is None:
            if not document.uncast:
                other_kind[document.source.partition(":")[0]] += 1
            continue
        first = int(firsts[index])
        if first in kept:
            duplicates.append((document.source, kept[first]))
            continue
        kept[first] = document.source
        compiled.add(converted)
    for name, count in other_kind.items():
        findings.note(f"{name}: {count} part(s) left out, prose cannot become {kind}")
    return duplicates


def _converted(
    document: Document, kind: Kind, cast: Cast | None, findings: Findings
) -> Document | None:
    converted = as_kind(document, kind)
    if converted is None or not converted.uncast or cast is None or kind not in TALK:
        return converted
    played = cast_document(converted, cast)
    if played is None:
        findings.drop(document.source, f"no word of {cast.model}", document.words, 0, 0)
    return played


def cut_finer(compiled: Spool, path: Path) -> Spool:
    """A small corpus in parts so small that holding some out is no accident; else itself."""
    n_groups = max(len(set(compiled.stories)), len(set(compiled.scenes)))
    if n_groups >= ENOUGH or len(compiled) >= 2 * ENOUGH:
        return compiled
    part_bytes = max(_MIN_PART_BYTES, min(PART_BYTES, sum(compiled.sizes) // (2 * ENOUGH)))
    finer = Spool(path)
    with compiled:
        for _, document in compiled.documents():
            for part in cut(document, part_bytes):
                finer.add(part)
    return finer
