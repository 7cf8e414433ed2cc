"""One event as it goes out: OpenAI's body, signed by the rules of Standard Webhooks."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass

TYPES = ("fine_tuning.job.succeeded", "fine_tuning.job.failed", "fine_tuning.job.cancelled")
_SECRET_PREFIX = "whsec_"  # noqa: S105
_SECRET_BYTES = 32


@dataclass(frozen=True)
class Event:
    """Attributes:
    id: the same at every try, so that a receiver can tell a repeat.
    created_at: Unix seconds at which the job ended.
    """

    id: str
    type: str
    job: str
    created_at: int

    @property
    def body(self) -> bytes:
        whole = {
            "id": self.id,
            "object": "event",
            "created_at": self.created_at,
            "type": self.type,
            "data": {"id": self.job},
        }
        return json.dumps(whole, separators=(",", ":")).encode()

    def headers(self, secret: str, now: int) -> dict[str, str]:
        """Args: now: Unix seconds; a receiver refuses what is older than 5 minutes."""
        signed = b".".join((self.id.encode(), str(now).encode(), self.body))
        key = base64.b64decode(secret.removeprefix(_SECRET_PREFIX))
        signature = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        return {
            "content-type": "application/json",
            "webhook-id": self.id,
            "webhook-timestamp": str(now),
            "webhook-signature": f"v1,{signature}",
        }


def mint_secret() -> str:
    return _SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()
