"""One answer of the engine, measured as it passes: tokens, times, how replies end, loops."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from types import TracebackType
from typing import Any, Literal

from lmft.registry.traffic import Counts
from serving.watch.loops import is_loop
from serving.watch.metrics import ModelFigures
from serving.watch.record import Record
from serving.watch.sampling import can_sample, chosen_logprobs, with_logprobs

Outcome = Literal["answered", "refused", "failed", "gone"]


class Meter:
    """A context around the time in which a request holds its model.

    Args:
        count: takes the request's counts at the end.
        sampled: this request is one of those whose log-probabilities are looked at.
        outcome_of: what an error means for the model that was asked.
    """

    def __init__(
        self,
        record: Record,
        figures: ModelFigures,
        count: Callable[[Counts], None],
        *,
        sampled: bool,
        outcome_of: Callable[[BaseException], Outcome],
    ) -> None:
        self._record = record
        self._figures = figures
        self._count = count
        self._sampled = sampled
        self._outcome_of = outcome_of
        self._outcome: Outcome = "answered"
        self._counts = Counts(requests=1)
        self._temperature = 1.0
        self._echoes = False
        self._texts: dict[int, list[str]] = defaultdict(list)
        self._last: dict[int, float] = {}
        self._pieces = 0

    def __enter__(self) -> Meter:
        self._figures.running.inc()
        self._record.waited = self._record.seconds
        self._figures.waited.observe(self._record.waited)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._figures.running.dec()
        if error is not None:
            self.broke(error)
        if self._outcome != "refused":
            self._finish()

    def asks(self, question: dict[str, Any]) -> dict[str, Any]:
        """The question as the engine is to get it."""
        prompt = question.get("prompt")
        if isinstance(prompt, list) and prompt:
            lists = prompt if isinstance(prompt[0], list) else [prompt]
            self._record.prompt_tokens = sum(map(len, lists))
        self._temperature = question.get("temperature", 1.0)
        self._echoes = bool(question.get("echo"))
        self._sampled = self._sampled and can_sample(question)
        return with_logprobs(question) if self._sampled else question

    def piece(self, chunk: dict[str, Any]) -> None:
        """A piece of a streamed answer, before anybody sees it."""
        if chunk["choices"]:
            now = time.perf_counter()
            if self._record.first_token is None:
                self._record.first_token = now - self._record.started
                self._figures.first_token.observe(self._record.first_token)
            for choice in chunk["choices"]:
                self._choice(choice)
                last = self._last.get(choice["index"])
                if last is not None:
                    self._figures.gap.observe(now - last)
                self._last[choice["index"]] = now
            self._pieces += len(chunk["choices"])
        self._usage(chunk.get("usage"))

    def whole(self, answer: dict[str, Any]) -> None:
        """A whole answer, before anybody sees it."""
        for choice in answer["choices"]:
            self._choice(choice)
        self._usage(answer.get("usage"))

    def broke(self, error: BaseException) -> None:
        """The answer ended in `error`."""
        self._outcome = self._outcome_of(error)

    def _choice(self, choice: dict[str, Any]) -> None:
        if text := choice["text"]:
            self._texts[choice["index"]].append(text)
        if self._sampled:
            values = chosen_logprobs(choice.get("logprobs"))
            choice["logprobs"] = None
            self._counts.sampled_tokens += len(values)
            self._counts.sampled_logprob += sum(values)
            self._counts.sampled_temperature += self._temperature * len(values)
        if reason := choice.get("finish_reason"):
            self._record.finish.append(reason)
            self._counts.replies += 1
            self._counts.stopped += reason == "stop"
            self._counts.cut += reason == "length"
            known = reason if reason in ("stop", "length") else "other"
            self._figures.replies[known].inc()

    def _usage(self, usage: dict[str, Any] | None) -> None:
        if usage:
            self._record.prompt_tokens = usage["prompt_tokens"]
            self._record.completion_tokens = usage["completion_tokens"]

    def _finish(self) -> None:
        record, counts, figures = self._record, self._counts, self._figures
        texts = ["".join(self._texts[index]) for index in sorted(self._texts)]
        if record.reply is not None:
            record.reply.extend(texts)
        # Broken off before its usage was said: a piece is nearly always a token.
        record.completion_tokens = record.completion_tokens or self._pieces
        if self._outcome == "answered":
            counts.reply_tokens = record.completion_tokens
            # With `echo` the text is the prompt's as well.
            counts.looping = 0 if self._echoes else sum(map(is_loop, texts))
            figures.loops.inc(counts.looping)
        counts.failed = int(self._outcome == "failed")
        counts.aborted = int(self._outcome == "gone")
        counts.prompt_tokens = record.prompt_tokens
        counts.completion_tokens = record.completion_tokens
        figures.prompt_tokens.inc(record.prompt_tokens)
        figures.completion_tokens.inc(record.completion_tokens)
        figures.seconds.observe(record.seconds)
        self._count(counts)
