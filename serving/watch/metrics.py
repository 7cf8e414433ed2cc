"""The gateway's own figures, as Prometheus reads them. docs/operations.md has the table.

Labels are bounded: a model is named only once a lease on it was had, so only models that exist
are; routes are templates; statuses are HTTP's.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from serving.watch.record import Record

_SHORT = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_LONG = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_GAPS = (0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5)
FINISHES = ("stop", "length", "other")


@dataclass(frozen=True)
class ModelFigures:
    """One model's own figures, found once instead of at every token."""

    running: Gauge
    prompt_tokens: Counter
    completion_tokens: Counter
    first_token: Histogram
    gap: Histogram
    waited: Histogram
    seconds: Histogram
    replies: dict[str, Counter]
    loops: Counter


class Metrics:
    """The instruments and the registry they are in."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._requests = Counter(
            "lmft_requests",
            "Requests to /v1 by what they came to; 499: the client went away first. "
            "No model where none was reached.",
            ("model", "route", "status"),
            registry=registry,
        )
        self.waiting = Gauge(
            "lmft_requests_waiting",
            "Requests that wait for admission, or for their model to be loaded.",
            registry=registry,
        )

        def gauge(name: str, says: str) -> Gauge:
            return Gauge(name, says, ("model",), registry=registry)

        def counter(name: str, says: str) -> Counter:
            return Counter(name, says, ("model",), registry=registry)

        def histogram(name: str, says: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(name, says, ("model",), buckets=buckets, registry=registry)

        self._running = gauge("lmft_requests_running", "Requests that are being answered.")
        self._prompt_tokens = counter("lmft_prompt_tokens", "Tokens of prompts.")
        self._completion_tokens = counter("lmft_completion_tokens", "Tokens of replies.")
        self._first_token = histogram(
            "lmft_time_to_first_token_seconds",
            "From the request's arrival to the first token; streamed answers only.",
            _SHORT,
        )
        self._gap = histogram(
            "lmft_inter_token_latency_seconds",
            "Between two pieces of one streamed reply; nearly always a token each.",
            _GAPS,
        )
        self._waited = histogram(
            "lmft_waiting_seconds", "From the request's arrival to the lease on its model.", _SHORT
        )
        self._seconds = histogram(
            "lmft_request_seconds", "From the request's arrival to the end of its answer.", _LONG
        )
        self._replies = Counter(
            "lmft_replies", "Finished replies by how they ended.", ("model", "finish"),
            registry=registry,
        )  # fmt: skip
        self._loops = counter("lmft_replies_looping", "Finished replies that repeat themselves.")
        self._known: dict[str, ModelFigures] = {}

    def of(self, model: str) -> ModelFigures:
        """The figures of a model that exists."""
        known = self._known.get(model)
        if known is None:
            known = self._known[model] = ModelFigures(
                running=self._running.labels(model),
                prompt_tokens=self._prompt_tokens.labels(model),
                completion_tokens=self._completion_tokens.labels(model),
                first_token=self._first_token.labels(model),
                gap=self._gap.labels(model),
                waited=self._waited.labels(model),
                seconds=self._seconds.labels(model),
                replies={finish: self._replies.labels(model, finish) for finish in FINISHES},
                loops=self._loops.labels(model),
            )
        return known

    def count(self, record: Record, route: str) -> None:
        """Count a request that has ended."""
        self._requests.labels(record.model, route, str(record.outcome)).inc()

    def keep_only(self, models: Collection[str]) -> None:
        """Drop what is kept of models that are gone."""
        by_model = (
            self._requests, self._running, self._prompt_tokens, self._completion_tokens,
            self._first_token, self._gap, self._waited, self._seconds, self._replies, self._loops,
        )  # fmt: skip
        for model in self._known.keys() - set(models):
            del self._known[model]
            for metric in by_model:
                metric.remove_by_labels({"model": model})
