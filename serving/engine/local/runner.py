"""One thread that steps the batch: sequences go in, their pieces come out."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

import torch

from serving.engine.local.batch import Batch
from serving.engine.local.model import Model
from serving.engine.local.sequence import Sequence

log = logging.getLogger("lmft.engine.local")

# Prompts read between two steps, so that those who are being answered do not wait long.
_PROMPT_TOKENS_A_STEP = 512
_Answer = TypeVar("_Answer")


class Runner:
    """Everything that touches the model happens in its thread, between two steps."""

    def __init__(self, model: Model, batch: Batch) -> None:
        self._model = model
        self._batch = batch
        self._inbox: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._waiting: deque[Sequence] = deque()
        self._retired: set[str] = set()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="batch", daemon=True)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def counts(self) -> dict[str, int]:
        """Tokens so far, by vLLM's names for them; may be asked from any thread."""
        return {
            "prompt_tokens": self._batch.n_read,
            "generation_tokens": self._batch.n_chosen,
        }

    def start(self) -> None:
        self._thread.start()

    async def stop(self) -> None:
        """End after the step that is under way."""
        await self._asked(lambda: setattr(self, "_stopping", True))
        await asyncio.to_thread(self._thread.join)

    def submit(self, sequence: Sequence) -> None:
        """Have it answered; what comes of it goes to its `emit`, in the runner's thread."""
        self._inbox.put(lambda: self._waiting.append(sequence))

    async def load(self, directory: Path) -> str:
        """Raises BadAdapterError; see Model.load."""
        return await self._asked(lambda: self._model.load(directory))

    def retire(self, adapter: str) -> None:
        """Forget an adapter once nobody is being answered by it."""
        self._inbox.put(lambda: self._retired.add(adapter))

    async def _asked(self, what: Callable[[], _Answer]) -> _Answer:
        answer: Future[_Answer] = Future()

        def do() -> None:
            try:
                answer.set_result(what())
            except Exception as error:
                answer.set_exception(error)

        self._inbox.put(do)
        return await asyncio.wrap_future(answer)

    def _run(self) -> None:
        with torch.inference_mode():
            while not self._stopping:
                self._obey()
                self._admit()
                self._batch.step()
                self._forget()

    def _obey(self) -> None:
        """Do what came in; with nothing else to do, wait for it."""
        idle = not self._waiting and not self._batch.rows
        while idle or not self._inbox.empty():
            self._inbox.get()()
            idle = False

    def _admit(self) -> None:
        """In the order of arrival, as far as there is room."""
        left = _PROMPT_TOKENS_A_STEP
        while self._waiting and left > 0:
            sequence = self._waiting[0]
            if not sequence.aborted:
                if not self._batch.takes(sequence):
                    return
                left -= len(sequence.ask.prompt)
                self._batch.join(sequence)
            self._waiting.popleft()

    def _forget(self) -> None:
        if not self._retired:
            return
        in_use = {one.ask.adapter for one in (*self._waiting, *self._batch.rows)}
        for adapter in self._retired - in_use:
            self._model.unload(adapter)
        self._retired &= in_use
