"""Train and held-out: whole documents, or scenes or parts where that comes nearer to the share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from lmft.corpus.spool import Spool
from lmft.errors import CorpusError

MIN_TRAIN_BYTES = 2_000
# From this many on there are enough of a kind to hold some out.
ENOUGH = 10
# A document is not held out if the training side has more than this share of its word sequences.
LEAK_SHARE = 0.5
# With this share of them it stands there whole: that must not be measured with.
WHOLE_SHARE = 0.9

SplitBy = Literal["document", "scene", "part"]


def split_spool(spool: Spool, share: float, barred: Iterable[int] = ()) -> tuple[set[int], SplitBy]:
    """The documents to hold out: whole stories if there are enough of them and they come near
    the share, else whole scenes, else parts. Groups with a `barred` document are not chosen.

    Raises:
        CorpusError: too little text for both sides.
    """
    alive = np.flatnonzero(np.frombuffer(spool.alive, np.int8))
    hashes = spool.hashes[alive]
    sizes = np.array(spool.sizes)[alive]
    is_barred = np.isin(alive, np.fromiter(barred, np.int64))
    levels: tuple[tuple[SplitBy, Sequence[int]], ...] = (
        ("document", spool.stories),
        ("scene", spool.scenes),
        ("part", range(len(spool))),
    )
    for split_by, group_of in levels:
        _, firsts, groups = np.unique(
            np.array(group_of)[alive], return_index=True, return_inverse=True
        )
        if len(firsts) < ENOUGH and split_by != "part":
            continue
        # No two documents are alike any more, so a group's first tells it from all others.
        group_sizes = np.bincount(groups, weights=sizes).astype(np.int64)
        barred_groups = np.bincount(groups, weights=is_barred) > 0
        held = hold_out(hashes[firsts], group_sizes, share, barred_groups)
        if group_sizes[held].sum() >= share * sizes.sum() / 2 or split_by == "part":
            break
    return {int(index) for index in alive[held[groups]]}, split_by


def hold_out(
    hashes: npt.NDArray[np.uint64],
    sizes: npt.NDArray[np.int64],
    share: float,
    barred: npt.NDArray[np.bool_] | None = None,
) -> npt.NDArray[np.bool_]:
    """Which groups to hold out for about `share` of the bytes: chosen by hash (N, 2), so that
    the same text gives the same split whatever its files are called.

    Groups of one hash go to one side together; one that is `barred` goes to the training side.

    Raises:
        CorpusError: too little text for both sides.
    """
    _, contents = np.unique(hashes, axis=0, return_inverse=True)
    contents = contents.reshape(-1)
    content_sizes = np.bincount(contents, weights=sizes).astype(np.int64)
    may_be_held = np.ones(len(content_sizes), dtype=bool)
    if barred is not None:
        may_be_held[contents[barred]] = False
    total = int(content_sizes.sum())
    # The longest document of a small corpus must not empty the training side.
    limit = min(max(2 * share, 0.3), 0.7) * total
    held = np.zeros(len(content_sizes), dtype=bool)
    held_bytes = 0
    for content, size in enumerate(content_sizes.tolist()):
        if held_bytes and held_bytes >= share * total:
            break
        if may_be_held[content] and held_bytes + size <= limit:
            held[content] = True
            held_bytes += size
    if not held_bytes and len(held) > 1 and may_be_held.any():
        # All are long: then the shortest is the one to miss least.
        shortest = int(np.where(may_be_held, content_sizes, total + 1).argmin())
        held[shortest] = True
        held_bytes = int(content_sizes[shortest])
    if not held_bytes or total - held_bytes < MIN_TRAIN_BYTES:
        raise CorpusError(
            f"The corpus is too small to split: {len(sizes)} document(s), {total} bytes; "
            f"lmft needs at least 2 documents (or parts) and {MIN_TRAIN_BYTES} bytes to train on.",
            "Add text; results get interesting from about 50 KB.",
        )
    chosen: npt.NDArray[np.bool_] = held[contents]
    return chosen
