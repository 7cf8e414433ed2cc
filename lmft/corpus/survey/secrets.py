"""Secrets and personal data: what kind, where, and the text without them.

Prose is searched for a few rare words; patterns see only the places that these point at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from lmft.corpus.survey.numbers import find_numbers

MASK = "•"
# Telephones write these inside numbers, that no line ends there.
_UNBROKEN = (("\u00a0", " "), ("\u202f", " "), ("\u2011", "-"))
_LOCAL_PART_CHARACTERS = 64
_LOCAL_PART = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._%+-"
_DOMAIN = re.compile(rb"@(?:[A-Za-z0-9][A-Za-z0-9-]{0,62}\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9-])")

# Kind, the word that must be there, the pattern. Words come first in the patterns, which makes
# these searches fast, and quantifiers are bounded or possessive, which keeps them linear.
_WORD_RULES: tuple[tuple[str, bytes, re.Pattern[bytes]], ...] = tuple(
    (kind, word, re.compile(pattern))
    for kind, word, pattern in (
        ("AWS access key", b"AKIA", rb"AKIA(?<![A-Za-z0-9]AKIA)[A-Z0-9]{16}(?![A-Za-z0-9])"),
        ("GitHub token", b"ghp_", rb"ghp_(?<![A-Za-z0-9_]ghp_)[A-Za-z0-9]{36,255}"),
        ("GitHub token", b"github_pat_", rb"github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}"),
        (
            "OpenAI or Anthropic key",
            b"sk-",
            rb"sk-(?<![\w-]sk-)(?=[a-z-]{0,99}[A-Z0-9])[\w-]{20,}+",
        ),
        ("Slack token", b"xox", rb"xox[abeoprs]-(?<![\w-]xox.-)[0-9A-Za-z-]{10,}+"),
        ("Google API key", b"AIza", rb"AIza(?<![\w-]AIza)[\w-]{35}(?![\w-])"),
        ("JSON web token", b"eyJ", rb"eyJ(?<![\w-]eyJ)[\w-]{8,}+\.eyJ[\w-]{4,}+\.[\w-]*+"),
        ("Discord webhook", b"/api/webhooks/", rb"/api/webhooks/[0-9]{16,20}/[\w-]{60,}+"),
        (
            "private key",
            b"PRIVATE KEY",
            # With the lines below it: an old key's headers, then base64, the last of it shorter.
            rb"-----BEGIN (?:[A-Z0-9]{1,16} ){0,3}PRIVATE KEY(?: BLOCK)?(?:-----"
            rb"(?:\s{0,4}+[A-Z][A-Za-z-]{2,20}+: [^\n]{0,99}+)*+"
            rb"(?:(?:(?:\s|\\[nr]){0,4}+[A-Za-z0-9+/=]{16,}+)++"
            rb"(?:(?:\s|\\[nr]){0,4}+[A-Za-z0-9+/=]{1,15}+)?)?)?",
        ),
    )
)
# The value ends its line or its quotes: "password: say friend and enter" is prose.
_PASSWORD = re.compile(
    rb"(?:passw(?:or)?d|pwd)[\"']?[ \t]{0,4}[:=][ \t]{0,4}"
    rb"[\"']?[^\s\"',;]{4,64}[\"',;]?[ \t]{0,4}$",
    re.MULTILINE,
)


class Found(NamedTuple):
    """One find, from `start` to before `end` in the text, in characters."""

    kind: str
    start: int
    end: int


def find_secrets(text: str) -> list[Found]:
    """Secrets and personal data, in order of their places.

    Strict, for a novel is full of years and pages: cards must pass Luhn's check, IBANs ISO 7064's.
    """
    for character, plain in _UNBROKEN:
        text = text.replace(character, plain)
    # One byte for each character, so that offsets stay; all that is looked for is ASCII.
    data = text.encode("ascii", "replace")
    found = [*_addresses(data), *_words(data), *(Found(*number) for number in find_numbers(data))]
    return sorted(found, key=lambda one: (one.start, one.kind))


def mask_secrets(text: str) -> str:
    """`text` with every character of every find as MASK, so that offsets stay."""
    masked: list[str] = []
    done = 0
    for _, start, end in find_secrets(text):
        if end > done:
            start = max(start, done)
            masked += text[done:start], MASK * (end - start)
            done = end
    return "".join(masked) + text[done:] if masked else text


def _addresses(data: bytes) -> Iterator[Found]:
    for domain in _DOMAIN.finditer(data) if b"@" in data else ():
        before = data[max(0, domain.start() - _LOCAL_PART_CHARACTERS) : domain.start()]
        local = before[len(before.rstrip(_LOCAL_PART)) :].lstrip(b"._%+-")
        if local and not local.endswith(b"."):
            yield Found("e-mail address", domain.start() - len(local), domain.end())


def _words(data: bytes) -> Iterator[Found]:
    for kind, word, pattern in _WORD_RULES:
        if word in data:
            yield from (Found(kind, *match.span()) for match in pattern.finditer(data))
    lower = data.lower()
    if b"passw" in lower or b"pwd" in lower:
        yield from (Found("password", *match.span()) for match in _PASSWORD.finditer(lower))
