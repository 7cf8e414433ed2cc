"""Held-out documents that do not stand on the training side too."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import numpy.typing as npt

from lmft.corpus.convert import Repeats
from lmft.corpus.documents import Document
from lmft.corpus.findings import Findings
from lmft.corpus.gather import Progress
from lmft.corpus.overlap import Runs, leak_shares
from lmft.corpus.split import LEAK_SHARE, WHOLE_SHARE, SplitBy, split_spool
from lmft.corpus.spool import Spool
from lmft.errors import CorpusError

_MAX_ATTEMPTS = 4
_MAX_QUOTING_SHARE = 0.25


def split_apart(
    compiled: Spool,
    share: float,
    repeats: Repeats,
    findings: Findings,
    progress: Progress,
    given: set[int] | None = None,
) -> tuple[set[int], SplitBy]:
    """Hold out documents that do not stand, word for word, on the other side too.

    Near-duplicates are gone by now; this is for what they do not show: a part that quotes
    another, or the same scene cut at another place. First other documents are held out in
    their place; where that does not help, the few that say the same leave the training side,
    and what still stands there whole is held out no more.

    Raises:
        CorpusError: whatever is held out stands whole on the other side.
    """
    held, split_by = first_choice = (
        split_spool(compiled, share) if given is None else (given, "document")
    )
    barred: set[int] = set()
    for attempt in range(_MAX_ATTEMPTS if given is None else 0):
        progress("checking the split", attempt, _MAX_ATTEMPTS)
        if not (leaking := _leaking(compiled, held)):
            return held, split_by
        barred |= leaking.keys()
        try:
            held, split_by = split_spool(compiled, share, barred)
        except CorpusError:
            break
    held, split_by = first_choice
    _drop_quotes(compiled, held, repeats)
    leaking = _leaking(compiled, held)
    whole = {index for index, part in leaking.items() if part > WHOLE_SHARE}
    if whole == held:
        raise CorpusError(
            "Every document repeats another: nothing can be held out to measure with.",
            "Add text of another kind, or remove the repeats.",
        )
    _take_back(compiled, whole, repeats, "the training side, word for word")
    held -= whole
    if leaking.keys() - whole:
        findings.note(
            f"{len(leaking) - len(whole)} of {len(held)} held-out parts stand mostly in the "
            "training side too (answers out of a fixed set, say), whatever is chosen: the "
            "held-out loss will look better than it is"
        )
    return held, split_by


def given_side(compiled: Spool, name: str) -> set[int]:
    """What came from the input folder of that name.

    Raises:
        CorpusError: nothing on one of the two sides.
    """
    found = {
        index for index, document in compiled.documents() if document.source.startswith(f"{name}/")
    }
    if not found or len(found) == sum(compiled.alive):
        missing = "training" if found else name
        raise CorpusError(
            f"Nothing is left of the {missing} files: empty, or all repeated in the others.",
            "Give other text.",
        )
    return found


def _leaking(compiled: Spool, held: set[int]) -> dict[int, float]:
    """The held-out documents that stand mostly on the other side too, and how much of each."""
    shares = leak_shares(
        partial(_side, compiled, held, True), partial(_side, compiled, held, False)
    )
    return {
        index: float(part)
        for index, part in zip(sorted(held), shares, strict=True)
        if part > LEAK_SHARE
    }


def _drop_quotes(compiled: Spool, held: set[int], repeats: Repeats) -> None:
    """Take the documents that quote held-out ones off the training side, if they are few."""
    known = Runs.of(document.learnt for document in _side(compiled, held, True))
    shares = known.shares(document.learnt for document in _side(compiled, held, False))
    train = np.flatnonzero(np.frombuffer(compiled.alive, bool) & ~_mask(compiled, held))
    sizes = np.frombuffer(compiled.sizes, np.int64)
    quoting = train[shares > LEAK_SHARE / 2]
    if sizes[quoting].sum() <= _MAX_QUOTING_SHARE * sizes[train].sum():
        _take_back(compiled, set(quoting.tolist()), repeats, "the held-out side, word for word")


def _take_back(compiled: Spool, indices: set[int], repeats: Repeats, of: str) -> None:
    if not indices:
        return
    for _, document in compiled.documents(_mask(compiled, indices)):
        repeats.add(document.source, of)
    for index in indices:
        compiled.alive[index] = 0


def _side(compiled: Spool, held: set[int], is_held: bool) -> Iterator[Document]:
    wanted = _mask(compiled, held) == is_held
    return (document for _, document in compiled.documents(wanted))


def _mask(compiled: Spool, indices: set[int]) -> npt.NDArray[np.bool_]:
    mask = np.zeros(len(compiled), bool)
    mask[np.fromiter(indices, np.int64)] = True
    return mask
