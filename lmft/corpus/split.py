"""Train and held-out: whole documents, or scenes where there are few documents."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal

from lmft.corpus.spool import Spool
from lmft.errors import CorpusError

MIN_TRAIN_BYTES = 2_000
# From this many on there are enough of a kind to hold some out.
ENOUGH = 10
# A held-out part that shares so many of its word sequences with the training side is a repeat.
LEAK_SHARE = 0.5

SplitBy = Literal["document", "scene", "part"]


def split_spool(spool: Spool, share: float) -> tuple[set[int], SplitBy]:
    """The documents to hold out: whole stories if there are enough of them, else whole scenes,
    else parts.

    Raises:
        CorpusError: too little text for both sides.
    """
    alive = [index for index in range(len(spool)) if spool.alive[index]]
    levels: tuple[tuple[SplitBy, Sequence[int]], ...] = (
        ("document", spool.stories),
        ("scene", spool.scenes),
        ("part", range(len(spool))),
    )
    for split_by, group_of in levels:
        groups: dict[int, list[int]] = {}
        for index in alive:
            groups.setdefault(group_of[index], []).append(index)
        if len(groups) >= ENOUGH or split_by == "part":
            break
    hashes = [_group_hash(spool, members) for members in groups.values()]
    sizes = [sum(spool.sizes[index] for index in members) for members in groups.values()]
    held = hold_out(hashes, sizes, share)
    return {
        index
        for members, is_held in zip(groups.values(), held, strict=True)
        if is_held
        for index in members
    }, split_by


def hold_out(hashes: Sequence[bytes], sizes: Sequence[int], share: float) -> list[bool]:
    """Which groups to hold out for about `share` of the bytes: chosen by hash, so that the same
    text gives the same split whatever its files are called.

    Groups of one hash go to one side together.

    Raises:
        CorpusError: too little text for both sides.
    """
    by_hash = dict.fromkeys(sorted(hashes), 0)
    for digest, size in zip(hashes, sizes, strict=True):
        by_hash[digest] += size
    total = sum(by_hash.values())
    # The longest document of a small corpus must not empty the training side.
    limit = min(max(2 * share, 0.3), 0.7) * total
    held: set[bytes] = set()
    held_bytes = 0
    for digest, size in by_hash.items():
        if held and held_bytes >= share * total:
            break
        if held_bytes + size <= limit:
            held.add(digest)
            held_bytes += size
    if not held and len(by_hash) > 1:
        # All are long: then the shortest is the one to miss least.
        shortest = min(by_hash, key=by_hash.__getitem__)
        held = {shortest}
        held_bytes = by_hash[shortest]
    if not held or total - held_bytes < MIN_TRAIN_BYTES:
        raise CorpusError(
            f"The corpus is too small to split: {len(sizes)} document(s), {total} bytes; "
            f"lmft needs at least 2 documents (or parts) and {MIN_TRAIN_BYTES} bytes to train on.",
            "Add text; results get interesting from about 50 KB.",
        )
    return [digest in held for digest in hashes]


def _group_hash(spool: Spool, members: Sequence[int]) -> bytes:
    digest = hashlib.sha256()
    for index in members:
        digest.update(spool.hash(index))
    return digest.digest()
