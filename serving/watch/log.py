"""One JSON line a request, to `$LMFT_HOME/logs/gateway.log`: never a key, no text by default."""

from __future__ import annotations

import contextlib
import json
import logging
import logging.handlers
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lmft import paths
from serving.watch.record import Record

MAX_BYTES = 10_000_000
KEPT_FILES = 5
_MAX_PATH_CHARACTERS = 200

log = logging.getLogger("lmft.gateway")


class RequestLog:
    """Writes to a file that is replaced at 10 MB; the five before it are kept.

    Args:
        texts: prompts and replies are written too.
    """

    def __init__(self, file: Path, *, texts: bool) -> None:
        paths.make_dir(file.parent)
        self.texts = texts
        self._handler = _Rotating(
            file, maxBytes=MAX_BYTES, backupCount=KEPT_FILES, encoding="utf-8", delay=True
        )

    def write(self, record: Record, route: str, caller: str | None) -> None:
        line = json.dumps(_entry(record, route, caller), ensure_ascii=True)
        self._handler.handle(
            logging.LogRecord("lmft.requests", logging.INFO, "", 0, line, None, None)
        )

    def close(self) -> None:
        # A full disk has been said.
        with contextlib.suppress(OSError):
            self._handler.close()


class _Rotating(logging.handlers.RotatingFileHandler):
    """For this user's eyes only; a disk that is full is said once and costs no request."""

    _failed = False

    def _open(self) -> Any:
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return open(descriptor, self.mode, encoding=self.encoding)

    def handleError(self, _: logging.LogRecord) -> None:
        if not self._failed:
            self._failed = True
            log.error("requests are not logged: %s cannot be written", self.baseFilename)


def _entry(record: Record, route: str, caller: str | None) -> dict[str, Any]:
    """What is unknown is left out."""
    known = {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "id": record.id,
        "client": record.client,
        "key": caller,
        "method": record.method,
        "path": record.path[:_MAX_PATH_CHARACTERS],
        "route": route,
        "status": record.outcome,
        "code": record.code,
        "ms": round(record.seconds * 1000, 1),
        "asked": record.asked if record.asked != record.model else None,
        "model": record.model or None,
        "adapter": record.adapter or None,
        "stream": record.stream or None,
        "waited_ms": _ms(record.waited),
        "first_token_ms": _ms(record.first_token),
        "prompt_tokens": record.prompt_tokens or None,
        "completion_tokens": record.completion_tokens or None,
        "finish": record.finish or None,
        "prompt": record.prompt,
        "reply": record.reply,
    }
    return {key: value for key, value in known.items() if value is not None}


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)
