"""A job's events as server-sent events: `[DONE]` only where the job has ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
from fastapi.responses import StreamingResponse

from lmft.errors import StoreError
from lmft.jobs.follow import News
from serving.gateway.following import data_events, named_events

SAID = News("event", 7, {"object": "fine_tuning.job.event", "message": "Step 1/9"})


class Followed:
    """A job of which one thing is said; then the stream ends, by an error where there is one."""

    def __init__(self, *, ended: bool, error: StoreError | None = None) -> None:
        self.ended, self._error = ended, error

    async def news(self) -> AsyncGenerator[News | None, None]:
        yield SAID
        if self._error is not None:
            raise self._error


def told(answer: Callable[[Any], StreamingResponse], followed: Followed) -> str:
    async def read() -> str:
        return "".join([str(text) async for text in answer(followed).body_iterator])

    return asyncio.run(read())


@pytest.mark.parametrize("answer", [data_events, named_events])
def test_the_last_word_of_a_job_that_has_ended_is_done(
    answer: Callable[[Any], StreamingResponse],
) -> None:
    text = told(answer, Followed(ended=True))
    assert "Step 1/9" in text
    assert text.endswith("data: [DONE]\n\n")


@pytest.mark.parametrize("answer", [data_events, named_events])
@pytest.mark.parametrize("error", [None, StoreError("The database is locked.")])
def test_a_stream_that_is_cut_does_not_say_so(
    answer: Callable[[Any], StreamingResponse], error: StoreError | None
) -> None:
    """By the server's going, or by an error, which is told."""
    text = told(answer, Followed(ended=False, error=error))
    assert "Step 1/9" in text
    assert ("is locked" in text) is (error is not None)
    assert "[DONE]" not in text
