"""The whole way from files to a compiled corpus.

    files -> spool -> one kind, one cast, no repeats -> compiled spool -> two sides on disk

Deterministic: same bytes, same files out, same hash. It streams: a corpus may be larger than
the memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lmft.corpus.apart import given_side, split_apart
from lmft.corpus.cast import Cast, choose_cast
from lmft.corpus.convert import convert, cut_finer, needs_finer_parts
from lmft.corpus.describe import Outcome, describe
from lmft.corpus.documents import Kind
from lmft.corpus.findings import Findings
from lmft.corpus.gather import Gathered, Progress, gather
from lmft.corpus.info import CorpusInfo
from lmft.corpus.kinds import TALK, resolve_kind
from lmft.corpus.source import SourceFile, find_sources
from lmft.corpus.spool import Spool
from lmft.corpus.store import HELDOUT_FILE, TRAIN_FILE, SideWriter
from lmft.errors import BadInputError, CorpusError


@dataclass(frozen=True)
class Settings:
    """What a person may choose.

    Attributes:
        heldout_share: the share of bytes kept for measuring, in (0, 0.5].
        model_plays, you_play: speakers' names, for logs and scripts.
        skip_bad: leave bad rows and files out (listed) instead of refusing all.
        heldout_input: name of the folder, one of several inputs, that is held out as it is,
            whatever the share.
    """

    kind: Kind | Literal["auto"] = "auto"
    heldout_share: float = 0.1
    model_plays: str | None = None
    you_play: str | None = None
    skip_bad: bool = False
    heldout_input: str = ""

    def __post_init__(self) -> None:
        if not 0 < self.heldout_share <= 0.5:
            raise CorpusError(
                f"The held-out share is {self.heldout_share}.", "Give a share above 0, at most 0.5."
            )


def no_progress(_stage: str, _done: int, _total: int) -> None:
    """For callers that show none."""


def build_corpus(
    inputs: Sequence[Path | SourceFile],
    directory: Path,
    settings: Settings | None = None,
    progress: Progress = no_progress,
) -> CorpusInfo:
    """Compile files and folders into an existing, empty directory.

    What `progress` raises ends the compilation, and goes on to the caller.

    Raises:
        InputError: an input that is not there.
        BadInputError: bad rows or files, all of them at once (unless `skip_bad`).
        CorpusError: kinds mixed up, nothing to learn, too little text, no such speaker.
    """
    settings = settings or Settings()
    findings = Findings()
    sources = find_sources(inputs)
    with (
        tempfile.TemporaryDirectory(prefix=".spool-", dir=directory) as scratch,
        Spool(Path(scratch) / "read.jsonl") as spool,
        Spool(Path(scratch) / "compiled.jsonl") as compiled,
        Spool(Path(scratch) / "finer.jsonl") as finer,
    ):
        gathered = gather(sources, spool, findings, progress)
        if findings.n_faults and not settings.skip_bad:
            raise BadInputError([str(fault) for fault in findings.faults], findings.n_faults)
        kind = _kind(spool, gathered, settings)
        cast = _cast(gathered, kind, settings)
        repeats = convert(spool, compiled, gathered, kind, cast, findings, progress)
        if not len(compiled):
            ((reason, _),) = findings.dropped_characters.most_common(1)
            raise CorpusError(f"Nothing to learn in the input; left out: {reason}.")
        if needs_finer_parts(compiled):
            cut_finer(compiled, finer)
            compiled = finer
        chosen = given_side(compiled, settings.heldout_input) if settings.heldout_input else None
        held, split_by = split_apart(
            compiled, settings.heldout_share, repeats, findings, progress, chosen
        )
        outcome = _write(compiled, held, directory, progress)
    info = describe(
        gathered, findings, settings.heldout_share, kind, cast, split_by, outcome, repeats
    )
    info.write(directory)
    return info


def _kind(spool: Spool, gathered: Gathered, settings: Settings) -> Kind:
    if not any(spool.alive):
        raise CorpusError("Nothing to learn in the input.", "Give text, scripts or conversations.")
    if settings.kind != "auto":
        return settings.kind
    kind, mixed = resolve_kind(gathered.files_of)
    if kind is None:
        raise CorpusError(
            f"The input mixes formats up ({mixed}).",
            "Compile each by itself, or say with --kind what all are to be (conversations can "
            "become stories, a story never a conversation).",
        )
    return kind


def _cast(gathered: Gathered, kind: Kind, settings: Settings) -> Cast | None:
    """Who plays, if there are speakers without roles."""
    if not gathered.uncast or kind not in TALK:
        if settings.model_plays or settings.you_play:
            raise CorpusError(
                "There are no speakers to choose from: the input has no names, or has roles.",
                "Leave --model-plays and --you-play out.",
            )
        return None
    return choose_cast(
        gathered.uncast,
        model_plays=settings.model_plays,
        you_play=settings.you_play,
    )


def _write(compiled: Spool, held: set[int], directory: Path, progress: Progress) -> Outcome:
    train = SideWriter(directory / TRAIN_FILE)
    heldout = SideWriter(directory / HELDOUT_FILE)
    outcome = Outcome()
    for index, document in compiled.documents():
        (heldout if index in held else train).add(document)
        outcome.add(document)
        if index % 1000 == 0:
            progress("writing", index, len(compiled))
    outcome.train, outcome.heldout = train.close(), heldout.close()
    outcome.content = train.content.digest() + heldout.content.digest()
    progress("writing", len(compiled), len(compiled))
    return outcome
