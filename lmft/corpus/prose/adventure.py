"""Whether a story is one that a player acts in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from lmft.corpus.prose.unwrap import Paragraph

_MIN_ACTIONS = 2
_MAX_QUOTED_SHARE = 0.6
_ACTION = re.compile(r"> +(?:[^\W\d_]|[\"“‘'«])")


def is_adventure(paragraphs: Sequence[Paragraph]) -> bool:
    """At least two lines `> You ...`, each with an answer: e-mail quotes many lines in a row."""
    quoted = [paragraph.text.startswith(">") for paragraph in paragraphs]
    actions = sum(
        bool(_ACTION.match(paragraph.text))
        for paragraph, begins in zip(paragraphs, quoted, strict=True)
        if begins
    )
    rows = sum(before and after for before, after in pairwise(quoted))
    n_quoted = sum(quoted)
    return (
        actions >= _MIN_ACTIONS
        and n_quoted <= _MAX_QUOTED_SHARE * len(quoted)
        and 2 * rows < n_quoted
    )
