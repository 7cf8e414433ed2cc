"""Everything that is known of a corpus, put together for `corpus.json`."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field

from lmft.corpus.cast import MAX_OTHERS, Cast
from lmft.corpus.convert import Repeats
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
from lmft.corpus.survey.collect import Survey

_MAX_SPEAKERS = 100
_MAX_CHARACTERS = 20_000


@dataclass
class Outcome:
    """What was written, surveyed while it was.

    Attributes:
        content: digests of both sides' content. n_documents: of both sides together.
    """

    train: SideInfo = field(init=False)
    heldout: SideInfo = field(init=False)
    content: bytes = b""
    n_documents: int = 0
    survey: Survey = field(default_factory=Survey)
    assistant_names: Counter[str] = field(default_factory=Counter)
    user_names: Counter[str] = field(default_factory=Counter)
    _story: int = -1

    def add(self, document: Document) -> None:
        self.survey.add(document)
        self.n_documents += document.story != self._story
        self._story = document.story
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
    repeats: Repeats,
) -> CorpusInfo:
    survey = outcome.survey
    cast_info = _cast_info(cast, outcome)
    n_asked = sum(survey.languages.values())
    speakers = sorted(survey.speakers.items(), key=lambda item: (-item[1].n_bytes, item[0]))
    return CorpusInfo(
        kind=kind,
        hash=_hash(kind, outcome, cast_info),
        n_documents=outcome.n_documents,
        heldout_share=heldout_share,
        split_by=split_by,
        files=tuple(gathered.files),
        train=outcome.train,
        heldout=outcome.heldout,
        cast=cast_info,
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
        n_duplicates=repeats.count,
        duplicates=tuple(DuplicateInfo(source=source, of=first) for source, first in repeats.pairs),
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


def _hash(kind: Kind, outcome: Outcome, cast: CastInfo | None) -> str:
    """Of all that training and the format contract take from the corpus."""
    names = "" if cast is None else "\n".join((cast.model, cast.you, *cast.others))
    return hashlib.sha256(f"{kind}\n{names}\n".encode() + outcome.content).hexdigest()


def _cast_info(cast: Cast | None, outcome: Outcome) -> CastInfo | None:
    """The cast that was chosen, or the names that a log with roles has."""
    if cast is not None:
        return CastInfo(model=cast.model, you=cast.you, others=cast.others, reason=cast.reason)
    if not outcome.assistant_names:
        return None
    model = outcome.assistant_names.most_common(1)[0][0]
    you = outcome.user_names.most_common(1)[0][0] if outcome.user_names else "User"
    others = (outcome.assistant_names + outcome.user_names).most_common(MAX_OTHERS + 2)
    return CastInfo(
        model=model,
        you=you,
        others=tuple(name for name, _ in others if name not in (model, you))[:MAX_OTHERS],
        reason=f"The input says who the model is: {model}.",
    )
