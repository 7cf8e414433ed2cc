"""A log's stream of messages to conversations: cut where it rests, turns joined."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from lmft.corpus.documents import Document, Message
from lmft.corpus.findings import Findings
from lmft.corpus.readers.turns import join_turns

# A meal or a meeting is shorter, a night's sleep is longer: who writes after more than this
# begins anew, and a log of years must not become one document.
GAP_SECONDS = 6 * 3600


class Said(NamedTuple):
    """One message of a log.

    Attributes:
        place: its line in the file, or its number where a format has no lines; from 1.
        seconds: when, from any fixed point; None where the log does not say.
    """

    place: int
    seconds: float | None
    name: str
    text: str


def conversations(
    said: Iterable[Said], file: str, findings: Findings, *, has_lines: bool = True
) -> Iterator[Document]:
    """Yield an uncast chat for each stretch without a pause of more than GAP_SECONDS.

    What only one person said is no conversation and goes to `findings`. One stretch at a time
    is held in memory.
    """
    for stretch in _stretches(said):
        turns = join_turns(Message("user", one.text, one.name) for one in stretch)
        first, last = stretch[0], stretch[-1]
        if len(turns) < 2:
            lines = (first.place, last.place + last.text.count("\n")) if has_lines else (0, 0)
            findings.drop(file, "monologue", turns[0].content, *lines)
            continue
        yield Document(f"{file}:{first.place}", kind="chat", messages=turns, uncast=True)


def _stretches(said: Iterable[Said]) -> Iterator[list[Said]]:
    stretch: list[Said] = []
    before: float | None = None
    for one in said:
        if one.seconds is not None:
            # Backwards as well: two exports in one file.
            if before is not None and abs(one.seconds - before) > GAP_SECONDS:
                yield stretch
                stretch = []
            before = one.seconds
        stretch.append(one)
    if stretch:
        yield stretch
