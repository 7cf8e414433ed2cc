"""Opaque names: minting and parsing, by regular expression and nothing else.

An adapter's public id has OpenAI's form, `ft:BASE:ORG:SUFFIX:ID`, and names one version. Its
alias, `ft:BASE:ORG:SUFFIX`, means the version that is live. A checkpoint, what a version was
after some step of its training, is `ft:BASE:ORG:SUFFIX:ID:ckpt-step-N`; no alias ever means it.
No part can hold a slash, a dot or a colon, so an id can never become a path.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, replace

_SLUG = r"[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?"
_ADAPTER = re.compile(
    rf"ft:(?P<base>{_SLUG}):(?P<org>{_SLUG}):(?P<suffix>{_SLUG}):(?P<key>[0-9a-f]{{8}})"
    # Seven digits: with eight, a checkpoint's directory could be that of another version.
    r"(?::ckpt-step-(?P<step>[1-9][0-9]{0,6}))?"
)
_ALIAS = re.compile(rf"ft:{_SLUG}:{_SLUG}:{_SLUG}")


@dataclass(frozen=True)
class AdapterId:
    """Attributes:
    step: of its training, where it is a checkpoint; None for the final model.
    """

    base: str
    org: str
    suffix: str
    key: str
    step: int | None = None

    def __str__(self) -> str:
        final = f"ft:{self.base}:{self.org}:{self.suffix}:{self.key}"
        return final if self.step is None else f"{final}:ckpt-step-{self.step}"

    @property
    def alias(self) -> str:
        """What all versions of it share."""
        return f"ft:{self.base}:{self.org}:{self.suffix}"

    @property
    def is_checkpoint(self) -> bool:
        return self.step is not None

    @property
    def version(self) -> str:
        """What tells it from all others, short: the key, of a checkpoint with its step."""
        return self.key if self.step is None else f"{self.key}-step-{self.step}"

    @property
    def directory(self) -> str:
        """The directory's name under `adapters/`; its last part alone makes it unique."""
        return f"{self.suffix}-{self.version}"

    def checkpoint(self, step: int) -> AdapterId:
        """Args: step: 1 to 9,999,999."""
        return replace(self, step=step)


def mint_adapter_id(base: str, suffix: str, org: str = "me") -> AdapterId:
    return AdapterId(slug(base), slug(org), slug(suffix), secrets.token_hex(4))


def parse_adapter_id(text: str) -> AdapterId | None:
    match = _ADAPTER.fullmatch(text)
    if match is None:
        return None
    base, org, suffix, key, step = match.groups()
    return AdapterId(base, org, suffix, key, int(step) if step else None)


def is_alias(text: str) -> bool:
    return _ALIAS.fullmatch(text) is not None


def slug(text: str) -> str:
    """The nearest legal part of an id: lower case letters, digits, `-` and `_`, at most 64."""
    cleaned = re.sub(r"[^a-z0-9_-]+", "-", text.lower()).strip("-_")[:64].strip("-_")
    return cleaned or "model"
