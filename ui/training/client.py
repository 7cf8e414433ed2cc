"""Files and jobs of the HTTP API (docs/api.md) as values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO
from urllib.parse import quote

from ui.training.job import Job, Listed
from ui.transport import Transport

Row = dict[str, Any]
_LISTED = 60
_ROWS = 10_000
_EVENTS = 100


@dataclass(frozen=True)
class File:
    """One that lies on the server."""

    id: str
    name: str
    n_bytes: int


@dataclass(frozen=True)
class Preset:
    """Attributes: title: what its own file says of it. recipe: its values, as a tree."""

    name: str
    title: str
    recipe: Mapping[str, Any]


class Jobs:
    """Of one server; raises GatewayError for all ills."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def upload(self, name: str, content: BinaryIO) -> str:
        """The id of the file that this made."""
        fields = {"purpose": "fine-tune"}
        return str((await self._transport.upload("/v1/files", name, content, fields))["id"])

    async def files(self) -> list[File]:
        """All that can be trained on, newest first."""
        body = await self._transport.get("/v1/files", {"purpose": "fine-tune"})
        return [
            File(str(one["id"]), str(one.get("filename") or one["id"]), int(one.get("bytes") or 0))
            for one in body.get("data") or []
        ]

    async def presets(self) -> tuple[list[Preset], list[str]]:
        """The shipped recipes, and the bases that can be trained over."""
        body = await self._transport.get("/v1/lmft/recipes")
        found = [
            Preset(str(one["id"]), str(one.get("title") or ""), one.get("recipe") or {})
            for one in body.get("data") or []
        ]
        return found, [str(base) for base in body.get("bases") or []]

    async def create(self, body: Mapping[str, Any], once: str) -> str:
        """The id of the job; the same for the same `once`."""
        return str((await self._transport.ask("/v1/fine_tuning/jobs", body, once=once))["id"])

    async def newest(self) -> Sequence[Listed]:
        """The newest ones, the newest first."""
        body = await self._transport.get("/v1/fine_tuning/jobs", {"limit": _LISTED})
        return [Listed.parse(job) for job in body.get("data") or []]

    async def job(self, id: str) -> Job:
        return Job.parse(await self._transport.get(f"/v1/lmft/jobs/{quote(id, safe='')}"))

    async def tell(self, id: str, verb: str) -> None:
        """Args: verb: pause, resume or cancel."""
        await self._transport.ask(f"/v1/fine_tuning/jobs/{quote(id, safe='')}/{verb}")

    async def discard(self, id: str) -> None:
        """Cancel a plan. A job that has begun or ended meanwhile is left as it is."""
        if (await self.job(id)).state in ("held", "validating_files"):
            await self.tell(id, "cancel")

    async def metrics(self, id: str, after: str | None = None) -> list[Row]:
        """Rows of metrics, oldest first. Args: after: `id` of the last one that is known."""
        rows: list[Row] = []
        while True:
            asked: dict[str, str | int] = {"limit": _ROWS} | ({"after": after} if after else {})
            body = await self._transport.get(f"/v1/lmft/jobs/{quote(id, safe='')}/metrics", asked)
            data = body.get("data") or []
            rows += data
            if not body.get("has_more") or not data:
                return rows
            after = str(data[-1]["id"])

    async def samples(self, id: str) -> list[Row]:
        """What the model wrote on the way, oldest first."""
        body = await self._transport.get(f"/v1/lmft/jobs/{quote(id, safe='')}/samples")
        return list(body.get("data") or [])

    async def events(self, id: str, after: str | None = None) -> tuple[list[Row], bool]:
        """The newest of those before `after`, newest first; and whether there are more."""
        asked: dict[str, str | int] = {"limit": _EVENTS} | ({"after": after} if after else {})
        body = await self._transport.get(f"/v1/fine_tuning/jobs/{quote(id, safe='')}/events", asked)
        return list(body.get("data") or []), bool(body.get("has_more"))
