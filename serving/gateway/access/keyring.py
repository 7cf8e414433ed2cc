"""The valid keys in memory, never older than half a second, found by their hash."""

from __future__ import annotations

import asyncio
import hmac
import time
from dataclasses import dataclass, field

from lmft.store.keys import Keys, fingerprint
from lmft.store.projects import Projects
from serving.gateway.access.callers import ANYONE, Caller

# A key that was revoked longer ago than this is refused.
FRESH_SECONDS = 0.5
# An unknown key may have been made just now. Guesses make the store be asked this often.
LOOK_AGAIN_SECONDS = 0.05


# Of what the pages do; never `metrics` or `pages`, which are for people and monitors.
PAGES_SCOPES = frozenset({"files", "inference", "jobs", "models:read", "models:write", "stories"})


@dataclass(frozen=True)
class _Snapshot:
    """Attributes:
    read_at: monotonic seconds, from before the store was asked.
    projects: their ids by name.
    """

    read_at: float = float("-inf")
    mark: tuple[int, int] = (0, 0)
    callers: dict[str, Caller] = field(default_factory=dict)
    projects: dict[str, int] = field(default_factory=dict)


class Keyring:
    """Whose key is this? Reads the store only when asked, and only what has changed.

    Args:
        keys: of the store; commands in other processes write there.
        api_key: LMFT_API_KEY, a key for everything.
        pages_key: what the pages of this server send; random, known to nobody else.
    """

    def __init__(
        self, keys: Keys, api_key: str | None = None, pages_key: str | None = None
    ) -> None:
        self._keys = keys
        self._projects = Projects(keys.store)
        self._own: dict[str, Caller] = {}
        if api_key:
            self._own[fingerprint(api_key)] = Caller(None, "LMFT_API_KEY", operator=True)
        if pages_key:
            self._own[fingerprint(pages_key)] = Caller(None, "pages", PAGES_SCOPES, operator=True)
        self.has_api_key = bool(api_key)
        self._snapshot = _Snapshot()
        self._reading = asyncio.Lock()

    async def required(self) -> bool:
        """Whether a request needs a key: LMFT_API_KEY is set, or a key was ever created. To
        revoke the last one does not open the server again.

        Raises:
            StoreError: it cannot be known.
        """
        if self.has_api_key:
            return True
        await self._refresh(FRESH_SECONDS)
        return self._snapshot.mark != (0, 0)

    async def find(self, key: bytes) -> Caller | None:
        """Whose key it is; None if it is nobody's, or not any more.

        Raises:
            StoreError: it cannot be known.
        """
        digest = fingerprint(key)
        for own, caller in self._own.items():
            # LMFT_API_KEY may be a word that a person chose.
            if hmac.compare_digest(own, digest):
                return caller
        await self._refresh(FRESH_SECONDS)
        if digest not in self._snapshot.callers:
            await self._refresh(LOOK_AGAIN_SECONDS)
        return self._snapshot.callers.get(digest)

    async def whoever(self, key: bytes | None) -> Caller | None:
        """`find`, or anyone at all where no key is required."""
        if key is not None and (found := await self.find(key)):
            return found
        return None if await self.required() else ANYONE

    async def project(self, name: str) -> int | None:
        """The id of the project of that name; None if there is none.

        Raises:
            StoreError: it cannot be known.
        """
        # A project is never renamed or taken away: what was read once stays true.
        for seconds in (FRESH_SECONDS, LOOK_AGAIN_SECONDS):
            if name not in self._snapshot.projects:
                await self._refresh(seconds)
        return self._snapshot.projects.get(name)

    async def _refresh(self, seconds: float) -> None:
        if self._age() < seconds:
            return
        async with self._reading:
            if self._age() >= seconds:
                self._snapshot = await asyncio.to_thread(self._read)

    def _age(self) -> float:
        return time.monotonic() - self._snapshot.read_at

    def _read(self) -> _Snapshot:
        now, mark = time.monotonic(), self._keys.mark()
        projects = {project.name: project.id for project in self._projects.all()}
        callers = self._snapshot.callers
        if mark != self._snapshot.mark:
            callers = {key.sha256: Caller.of(key) for key in self._keys.valid()}
        return _Snapshot(now, mark, callers, projects)
