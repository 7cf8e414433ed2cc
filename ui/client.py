"""The pages' only way to the models: the gateway's HTTP surface (docs/api.md) as values.

Each answer is an async generator of `ui.events`. Closing it closes the HTTP request, and that
is what makes the server stop generating: Stop and a closed tab both end here.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing

from ui.events import Delta, Done, Event, Opened, PlayerSaid, Readiness
from ui.models import Model
from ui.training.client import Jobs
from ui.transport import Transport, connection_lost

# A model that sleeps loads at its first request, so the first byte may take minutes.
STREAM_SILENCE_S = 300.0


class Gateway:
    """One lmft server. Safe to share between all visitors of the pages."""

    def __init__(
        self, base_url: str, api_key: str | None = None, *, silence_s: float = STREAM_SILENCE_S
    ) -> None:
        self._transport = Transport(base_url, api_key, silence_s)
        self.jobs = Jobs(self._transport)

    async def aclose(self) -> None:
        await self._transport.aclose()

    async def ready(self) -> Readiness:
        """What /readyz says; its 503 is an answer, not an error."""
        body = await self._transport.get("/readyz", also=503)
        return Readiness(
            status=str(body.get("status") or "starting"),
            phase=str(body.get("phase") or ""),
            detail=str(body.get("detail") or ""),
        )

    async def models(self) -> list[Model]:
        body = await self._transport.get("/v1/models")
        entries = body.get("data") or []
        # An alias is one of the versions under another name.
        means = {entry["id"]: (entry.get("lmft") or {}).get("alias_of") for entry in entries}
        aliases = {version: alias for alias, version in means.items() if version}
        return [
            Model.parse(entry, alias=aliases.get(entry["id"], ""))
            for entry in entries
            if not means[entry["id"]]
        ]

    async def play(
        self, model: str, turns: Sequence[Mapping[str, str]], **settings: float
    ) -> AsyncGenerator[Event, None]:
        """One turn of a story. `settings`: seed, temperature, max_tokens and their like."""
        body = {"model": model, "turns": list(turns), **settings}
        opened, watch = Opened("", ""), _Stopwatch()
        async with aclosing(self._transport.post("/v1/lmft/play", body)) as answer:
            async for event in answer:
                if isinstance(event, Opened):
                    yield (opened := event)
                elif event.get("type") == "turn":
                    yield PlayerSaid(str(event["text"]))
                elif event.get("type") == "delta":
                    watch.stop()
                    yield Delta(str(event["text"]))
                elif event.get("type") == "done":
                    yield Done(
                        finish_reason=str(event.get("finish_reason") or ""),
                        model=str(event.get("model") or opened.model),
                        adapter=str(event.get("adapter") or opened.adapter),
                        text=str(event["text"]),
                        tokens=(event.get("usage") or {}).get("completion_tokens"),
                        dropped_turns=int(event.get("dropped_turns") or 0),
                        ttft=watch.seconds,
                    )
                    return
        raise connection_lost()

    async def complete(
        self, model: str, prompt: str, **settings: float
    ) -> AsyncGenerator[Event, None]:
        """A raw continuation of `prompt`: its deltas, then what the server says about them."""
        body = {
            "model": model,
            "prompt": prompt,
            "stream": True,
            "stream_options": {"include_usage": True},
            **settings,
        }
        opened, watch = Opened("", ""), _Stopwatch()
        finish = fingerprint = ""
        tokens: int | None = None
        async with aclosing(self._transport.post("/v1/completions", body)) as answer:
            async for event in answer:
                if isinstance(event, Opened):
                    yield (opened := event)
                    continue
                fingerprint = event.get("system_fingerprint") or fingerprint
                tokens = (event.get("usage") or {}).get("completion_tokens", tokens)
                for choice in event.get("choices") or []:
                    finish = choice.get("finish_reason") or finish
                    if choice.get("text"):
                        watch.stop()
                        yield Delta(str(choice["text"]))
        if not finish:
            raise connection_lost()
        yield Done(
            finish_reason=finish,
            model=opened.model,
            adapter=opened.adapter,
            tokens=tokens,
            fingerprint=fingerprint,
            ttft=watch.seconds,
        )


class _Stopwatch:
    """Time to the first text, as the person at the page feels it: from the asking."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self.seconds: float | None = None

    def stop(self) -> None:
        """The first call counts."""
        if self.seconds is None:
            self.seconds = time.monotonic() - self._began
