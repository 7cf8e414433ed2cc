"""Ids of what the service keeps (files, uploads, jobs, events): OpenAI's prefix and 24 hex digits.

Only what is_id() takes may name something on disk: no such text holds a slash or a dot.
"""

from __future__ import annotations

import re
import secrets

_BYTES = 12
_REST = re.compile(rf"[0-9a-f]{{{2 * _BYTES}}}")


def mint_id(prefix: str) -> str:
    """A new id. Args: prefix: with its separator, `file-` or `upload_`."""
    return prefix + secrets.token_hex(_BYTES)


def is_id(prefix: str, text: str) -> bool:
    """Whether `text` could have come from mint_id(prefix)."""
    return text.startswith(prefix) and _REST.fullmatch(text, len(prefix)) is not None
