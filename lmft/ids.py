"""Opaque names: minting and parsing, by regular expression and nothing else.

An adapter's public id has OpenAI's form, `ft:BASE:ORG:SUFFIX:ID`, and names one version. Its
alias, `ft:BASE:ORG:SUFFIX`, means the version that is live. No part can hold a slash, a dot or a
colon, so an id can never become a path.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass

_SLUG = r"[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?"
_ADAPTER = re.compile(
    rf"ft:(?P<base>{_SLUG}):(?P<org>{_SLUG}):(?P<suffix>{_SLUG}):(?P<key>[0-9a-f]{{8}})"
)
_ALIAS = re.compile(rf"ft:{_SLUG}:{_SLUG}:{_SLUG}")


@dataclass(frozen=True)
class AdapterId:
    base: str
    org: str
    suffix: str
    key: str

    def __str__(self) -> str:
        return f"ft:{self.base}:{self.org}:{self.suffix}:{self.key}"

    @property
    def alias(self) -> str:
        """What all versions of it share."""
        return f"ft:{self.base}:{self.org}:{self.suffix}"

    @property
    def directory(self) -> str:
        """The directory's name under `adapters/`; the key alone makes it unique."""
        return f"{self.suffix}-{self.key}"


def mint_adapter_id(base: str, suffix: str, org: str = "me") -> AdapterId:
    return AdapterId(slug(base), slug(org), slug(suffix), secrets.token_hex(4))


def parse_adapter_id(text: str) -> AdapterId | None:
    match = _ADAPTER.fullmatch(text)
    return AdapterId(**match.groupdict()) if match else None


def is_alias(text: str) -> bool:
    return _ALIAS.fullmatch(text) is not None


def slug(text: str) -> str:
    """The nearest legal part of an id: lower case letters, digits, `-` and `_`, at most 64."""
    cleaned = re.sub(r"[^a-z0-9_-]+", "-", text.lower()).strip("-_")[:64].strip("-_")
    return cleaned or "model"
