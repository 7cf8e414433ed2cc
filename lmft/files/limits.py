"""How large files may be."""

from __future__ import annotations

import os
from collections.abc import Mapping

from lmft.errors import UserError

DEFAULT_MAX_FILE_BYTES = 512 << 20
# OpenAI's, and what its SDK sends at once.
MAX_PART_BYTES = 64 << 20
# Of one upload.
MAX_PARTS = 10_000
SETTING = "LMFT_MAX_FILE_BYTES"


def max_file_bytes(settings: Mapping[str, str] = os.environ) -> int:
    """Of one file, sent whole or in parts. Raises UserError: a setting that is no number."""
    given = settings.get(SETTING)
    if not given:
        return DEFAULT_MAX_FILE_BYTES
    if not given.isascii() or not given.isdigit() or int(given) < 1:
        raise UserError(f"{SETTING} is {given!r}.", "Give a whole number of bytes from 1.")
    return int(given)
