"""At the start and every ten minutes: expired files go, and what killed processes left."""

from __future__ import annotations

import asyncio
import logging

from lmft.errors import LmftError
from lmft.files.sweep import sweep
from lmft.store.database import Store

log = logging.getLogger("lmft.gateway")

_EVERY_SECONDS = 600.0


async def keep_swept(store: Store) -> None:
    """Until cancelled."""
    while True:
        try:
            await asyncio.to_thread(sweep, store)
        # Whatever it is: nobody would see this task end, and nothing would be swept any more.
        except Exception as error:
            known = isinstance(error, LmftError | OSError)
            log.error("expired files stay for now: %s", error, exc_info=not known)
        await asyncio.sleep(_EVERY_SECONDS)
