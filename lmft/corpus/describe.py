"""Everything that is known of a corpus, put together for `corpus.json`."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field

from lmft.corpus.cast import Cast
from lmft.corpus.documents import Document, Kind
from lmft.corpus.findings import Findings
from lmft.corpus.gather import Gathered
from lmft.corpus.info import (
    Bin,
    CastInfo,
    CorpusInfo,
    DropCount,
    DropInfo,
    DuplicateInfo,
    PersonInfo,
    SecretInfo,
    SideInfo,
    SpeakerInfo,
)
from lmft.corpus.split import SplitBy

_MAX_SPEAKERS = 100
_MAX_DUPLICATES = 200
_MAX_CHARACTERS = 20_000
_MAX_OTHER_NAMES = 14


@dataclass
class Outcome:
    """What was written, counted while it was."""

    train: SideInfo = field(init=False)
    heldout: SideInfo = field(init=False)
    content: bytes = b""
    assistant_names: Counter[str] = field(default_factory=Counter)
    user_names: Counter[str] = field(default_factory=Counter)

    def count(self, document: Document) -> None:
        for turn in document.messages:
            if turn.name is not None:
                names = self.assistant_names if turn.role == "assistant" else self.user_names
                names[turn.name] += 1


def describe(
    gathered: Gathered,
    findings: Findings,
    heldout_share: float,
    kind: Kind,
    cast: Cast | None,
    split_by: SplitBy,
    outcome: Outcome,
    duplicates: list[tuple[str, str]],
) -> CorpusInfo:
    survey = gathered.survey
    n_asked = sum(survey.languages.values())
    speakers = sorted(survey.speakers.items(), key=lambda item: (-item[1].n_bytes, item[0]))
    return CorpusInfo(
        kind=kind,
        hash=hashlib.sha256(kind.encode() + outcome.content).hexdigest(),
        heldout_share=heldout_share,
        split_by=split_by,
        files=tuple(gathered.files),
        train=outcome.train,
        heldout=outcome.heldout,
        cast=_cast_info(cast, outcome),
        speakers=tuple(
            SpeakerInfo(name=name, turns=count.turns, n_bytes=count.n_bytes)
            for name, count in speakers[:_MAX_SPEAKERS]
        ),
        person=PersonInfo(
            person=survey.person.person,
            first=survey.person.first,
            second=survey.person.second,
            third=survey.person.third,
        ),
        languages={
            language: round(n_bytes / n_asked, 4)
            for language, n_bytes in survey.languages.most_common()
        },
        lengths=tuple(Bin(from_bytes=start, count=count) for start, count in survey.lengths()),
        characters=dict(survey.characters.counter().most_common(_MAX_CHARACTERS)),
        secrets=tuple(
            SecretInfo(kind=name, count=count, places=tuple(survey.secret_places[name]))
            for name, count in survey.secrets.most_common()
        ),
        n_duplicates=len(duplicates),
        duplicates=tuple(
            DuplicateInfo(source=source, of=first) for source, first in duplicates[:_MAX_DUPLICATES]
        ),
        dropped=tuple(
            DropCount(
                reason=reason, places=findings.dropped_places[reason], n_characters=n_characters
            )
            for reason, n_characters in findings.dropped_characters.most_common()
        ),
        drops=tuple(DropInfo(**vars(drop)) for drop in findings.drops),
        n_faults=findings.n_faults,
        faults=tuple(str(fault) for fault in findings.faults),
        notes=tuple(findings.notes),
    )


def _cast_info(cast: Cast | None, outcome: Outcome) -> CastInfo | None:
    """The cast that was chosen, or the names that a log with roles has."""
    if cast is not None:
        return CastInfo(model=cast.model, you=cast.you, others=cast.others, reason=cast.reason)
    if not outcome.assistant_names:
        return None
    model = outcome.assistant_names.most_common(1)[0][0]
    you = outcome.user_names.most_common(1)[0][0] if outcome.user_names else "User"
    others = (outcome.assistant_names + outcome.user_names).most_common(_MAX_OTHER_NAMES + 2)
    return CastInfo(
        model=model,
        you=you,
        others=tuple(name for name, _ in others if name not in (model, you))[:_MAX_OTHER_NAMES],
        reason=f"The input says who the model is: {model}.",
    )
