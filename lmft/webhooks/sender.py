"""Sends what is due. The worker calls it now and then, in a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import time

import httpx

from lmft import __version__
from lmft.errors import MachineError
from lmft.object_ids import mint_id
from lmft.store.database import Store
from lmft.webhooks.endpoints import Endpoint
from lmft.webhooks.event import TYPES, Event
from lmft.webhooks.outbox import Letter, Outbox

log = logging.getLogger("lmft.webhooks")

# For all of it: name, connection, answer. A receiver that trickles is no reason to wait.
TRY_SECONDS = 15.0


class UnansweredError(MachineError):
    """A webhook's receiver did not take an event."""

    code = "webhook_unanswered"


class Sender:
    """Args:
    try_seconds: that one receiver may take.
    """

    def __init__(self, store: Store, try_seconds: float = TRY_SECONDS) -> None:
        self._outbox = Outbox(store)
        self._try_seconds = try_seconds

    def deliver_due(self) -> int:
        """Try all that is due once, at the same time; the number of tries. What fails is due
        again later. Takes at most about 15 s.

        Raises:
            StoreError: the database cannot be used.
        """
        letters = self._outbox.take(int(time.time()))
        if letters:
            failures = asyncio.run(_send_all(letters, self._try_seconds))
            self._outbox.record(list(zip(letters, failures, strict=True)), int(time.time()))
            for letter, failure in zip(letters, failures, strict=True):
                if failure:
                    log.warning("%s was not delivered: %s", letter.event.id, failure)
        return len(letters)


def send_test(endpoint: Endpoint, try_seconds: float = TRY_SECONDS) -> None:
    """Send one event of a job that there is not, now and once. Raises UnansweredError."""
    event = Event(mint_id("evt_"), TYPES[0], "ftjob-test", int(time.time()))
    letter = Letter(0, 1, endpoint.url, endpoint.secret, event)
    (failure,) = asyncio.run(_send_all([letter], try_seconds))
    if failure:
        raise UnansweredError(
            f"{endpoint.url} did not take the event: {failure}",
            "It must answer 2xx; see that it runs and can be reached from here.",
        )


async def _send_all(letters: list[Letter], try_seconds: float) -> list[str]:
    """For each `` if it arrived, else why not."""
    # No proxy and no password file of the environment's: it goes where the operator said.
    async with httpx.AsyncClient(
        timeout=try_seconds,
        trust_env=False,
        follow_redirects=False,
        headers={"user-agent": f"lmft/{__version__}"},
    ) as client:
        sent = (_send(client, letter, try_seconds) for letter in letters)
        outcomes = await asyncio.gather(*sent, return_exceptions=True)
    # Whatever goes wrong with one receiver, the others are told, and it is tried again.
    return [_reason(one) if isinstance(one, BaseException) else one for one in outcomes]


async def _send(client: httpx.AsyncClient, letter: Letter, try_seconds: float) -> str:
    headers = letter.event.headers(letter.secret, int(time.time()))
    body = letter.event.body
    async with (
        asyncio.timeout(try_seconds),
        client.stream("POST", letter.url, content=body, headers=headers) as answer,
    ):
        # Its body is nobody's business here, and may be endless.
        if answer.is_success:
            return ""
        redirected = " Redirects are not followed." if answer.is_redirect else ""
        return f"It answered {answer.status_code}.{redirected}"


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "It did not answer in time."
    return f"{type(error).__name__}: {error}".rstrip(": ")
