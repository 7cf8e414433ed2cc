"""What is said to clients, without what it says of this machine: no path, no address.

The whole of it stands in the logs.
"""

from __future__ import annotations

import re

from lmft import paths

_INSTEAD = "(...)"
# A path, an address of memory or network, an adapter's name inside the engine. Our own routes
# are no secret.
_INSIDE = re.compile(
    r"(?<![\w:.#])(?:~|\.\.?)?/(?!v1\b|healthz\b|readyz\b|metrics\b)[\w.+@-]+(?:/[\w.+@-]*)*"
    r"|\b0x[0-9a-f]{6,}|\w+://\S+|\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b|\b[0-9a-f]{8}-[0-9a-f]{12}\b",
    re.IGNORECASE,
)


def without_machine(text: str) -> str:
    """The text, with `(...)` for each path and address in it; its lines stay."""
    if "/" in text:
        # The only path of ours that may have spaces in it.
        text = text.replace(str(paths.home()), "/home")
    return _INSIDE.sub(_INSTEAD, text)
