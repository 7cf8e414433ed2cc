"""An adapter's traffic on disk: `$LMFT_HOME/traffic/NAME-KEY.json`, written by the server."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from pydantic import ValidationError

from lmft import paths
from lmft.ids import parse_adapter_id
from lmft.registry.traffic import Traffic


def heldout_logprob(adapter: Path) -> float | None:
    """Mean log-probability (nats) that the adapter gives a token of its held-out prompts.

    Those are the windows of held-out text in probe.json, whoever speaks in them, scored by the
    trainer; None where the file says nothing of the kind.
    """
    try:
        prompts = json.loads((adapter / "probe.json").read_text(encoding="utf-8"))["prompts"]
        values: list[float] = [value for prompt in prompts for value in prompt["adapter_logprobs"]]
        return round(sum(values) / len(values), 6)
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError):
        return None


def traffic_file(model: str) -> Path | None:
    """Where an adapter's traffic is kept; None for anything but an adapter's id."""
    parsed = parse_adapter_id(model)
    return paths.home() / "traffic" / f"{parsed.directory}.json" if parsed else None


def read_traffic(model: str) -> Traffic | None:
    """What was written for the adapter; None if nothing was, or nothing that can be read."""
    file = traffic_file(model)
    if file is None:
        return None
    try:
        traffic = Traffic.model_validate_json(file.read_text(encoding="utf-8"))
    except (OSError, ValidationError, UnicodeDecodeError):
        return None
    return traffic if traffic.model == model else None


def write_text(file: Path, text: str) -> None:
    """Put `text` in `file`'s place, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    paths.make_dir(file.parent)
    descriptor, name = tempfile.mkstemp(prefix=f".{file.stem}-", dir=file.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as writing:
            writing.write(text)
            writing.flush()
            os.fsync(writing.fileno())
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
