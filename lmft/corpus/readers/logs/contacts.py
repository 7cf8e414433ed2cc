"""Speakers whom a log knows only by a number or an address."""

from __future__ import annotations

import re

from lmft.corpus.findings import Findings
from lmft.corpus.survey.secrets import find_secrets

# With the spaces and hyphens that do not break, as WhatsApp writes them.
_TELEPHONE = re.compile(r"\+?[\d\s()./\-\u2010-\u2013]+")
_MIN_DIGITS = 7


class Contacts:
    """Gives each of them a name: names go into stop strings, and into every published adapter."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._n_renamed = 0

    def name(self, name: str) -> str:
        """`name`, or `Contact 1` and so on for one that has a number or an address in it."""
        if name not in self._names:
            personal = _is_telephone(name) or find_secrets(name)
            self._n_renamed += bool(personal)
            self._names[name] = f"Contact {self._n_renamed}" if personal else name
        return self._names[name]

    def close(self, file: str, findings: Findings) -> None:
        """Say how many were renamed."""
        if self._n_renamed:
            findings.note(
                f"{file}: {self._n_renamed} speaker(s) named by a telephone number or an address "
                "are called Contact 1 and so on: names of speakers are published with an adapter"
            )


def _is_telephone(name: str) -> bool:
    digits = sum(map(str.isdigit, name))
    return digits >= _MIN_DIGITS and _TELEPHONE.fullmatch(name) is not None
