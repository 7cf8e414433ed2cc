"""The figures of engines, adapters and the device, read at the moment when Prometheus asks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
    SummaryMetricFamily,
)

from lmft.registry.traffic import WINDOWS, Traffic
from serving.pool.member import Member
from serving.pool.memory import taken_bytes
from serving.pool.pool import Pool
from serving.pool.served import Listed
from serving.watch.relayed import relayed


class Families(CollectorRegistry):
    """What was read, as prometheus_client wants to be given it."""

    def __init__(self, families: Iterable[Metric]) -> None:
        super().__init__()
        self._families = list(families)

    def collect(self) -> Iterator[Metric]:
        yield from self._families


async def engine_families(pool: Pool) -> list[Metric]:
    """Asks every engine that is awake, all at once."""
    members = pool.engines()
    said = await asyncio.gather(*(_ask(member) for member in members))
    taken = await asyncio.to_thread(_memory, members)
    return [
        *_server(pool),
        *_models(pool.listed()),
        *_members(members, taken),
        *relayed({member.plan.name: text for member, text in zip(members, said, strict=True)}),
    ]


def traffic_families(traffics: Iterable[Traffic]) -> list[Metric]:
    """The drift of each adapter that was asked since the start, by window."""
    labels = ["model", "window"]
    logprob = GaugeMetricFamily(
        "lmft_reply_logprob_nats",
        "Mean log-probability of a sampled reply's token, by the model at temperature 1.",
        labels=labels,
    )
    drift = GaugeMetricFamily(
        "lmft_logprob_drift_nats",
        "lmft_reply_logprob_nats less the mean over the adapter's held-out tokens.",
        labels=labels,
    )
    now = time.time()
    for traffic in traffics:
        for window in WINDOWS:
            summary = traffic.summary(window, now)
            for family, value in ((logprob, summary.logprob), (drift, summary.drift)):
                if value is not None:
                    family.add_metric([traffic.model, window], value)
    return [logprob, drift]


async def _ask(member: Member) -> str:
    running = member.running
    return await running.process.client.metrics() if running is not None else ""


def _memory(members: Iterable[Member]) -> dict[str, int]:
    pids = {
        member.plan.name: member.running.process.pid
        for member in members
        if member.running is not None
    }
    return {name: taken_bytes(pid) for name, pid in pids.items() if pid is not None}


def _server(pool: Pool) -> list[Metric]:
    ready = GaugeMetricFamily("lmft_ready", "1 while /readyz says so.")
    ready.add_metric([], pool.status.status == "ready")
    lent = GaugeMetricFamily("lmft_device_lent", "1 while engines are stopped for a training.")
    lent.add_metric([], pool.lent)
    return [ready, lent]


def _models(listed: Iterable[Listed]) -> list[Metric]:
    state = GaugeMetricFamily(
        "lmft_model_state",
        "1 for the state a model is in: live, loading, idle (loads when asked) or failed.",
        labels=["model", "state"],
    )
    alias = GaugeMetricFamily(
        "lmft_alias", "1 for the version that an alias means now.", labels=["alias", "model"]
    )
    difference = GaugeMetricFamily(
        "lmft_probe_difference_nats",
        "Mean difference between served and trained log-probabilities in the last probe.",
        labels=["model"],
    )
    effect = GaugeMetricFamily(
        "lmft_probe_effect_nats",
        "Mean difference that the adapter makes to its base, by the trainer.",
        labels=["model"],
    )
    for entry in listed:
        if entry.alias_of is not None:
            alias.add_metric([entry.id, entry.alias_of], 1)
            continue
        state.add_metric([entry.id, entry.state], 1)
        if entry.probe is not None:
            difference.add_metric([entry.id], entry.probe.adapter_difference)
            effect.add_metric([entry.id], entry.probe.adapter_effect)
    return [state, alias, difference, effect]


def _members(members: Iterable[Member], taken: dict[str, int]) -> list[Metric]:
    label = ["engine"]
    state = GaugeMetricFamily(
        "lmft_engine_state",
        "1 for the state an engine is in: asleep, starting, ready or failed.",
        labels=["engine", "state"],
    )
    starts = CounterMetricFamily(
        "lmft_engine_starts", "How often its process was started; more than once: again.",
        labels=label,
    )  # fmt: skip
    memory = GaugeMetricFamily(
        "lmft_engine_memory_bytes",
        "Main memory of its processes, shared pages counted once.",
        labels=label,
    )
    loads = CounterMetricFamily(
        "lmft_adapter_loads", "Adapters loaded and proven, or not.", labels=["engine", "result"]
    )
    seconds = SummaryMetricFamily(
        "lmft_adapter_load_seconds", "Loading and proving an adapter.", labels=label
    )
    loaded = GaugeMetricFamily(
        "lmft_adapters_loaded", "Adapters that answer at once.", labels=label
    )
    for member in members:
        name, tally = member.plan.name, member.tally
        state.add_metric([name, member.state], 1)
        starts.add_metric([name], tally.starts)
        loads.add_metric([name, "live"], tally.loads)
        loads.add_metric([name, "failed"], tally.failed_loads)
        seconds.add_metric([name], tally.loads + tally.failed_loads, tally.load_seconds)
        if name in taken:
            memory.add_metric([name], taken[name])
        if member.running is not None and member.running.adapters is not None:
            loaded.add_metric([name], len(member.running.adapters.loaded()))
    return [state, starts, memory, loads, seconds, loaded]
