"""What vLLM says of itself, passed on under our names: its own /metrics stays inside."""

from __future__ import annotations

import re
from collections import defaultdict

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

_SAMPLE = re.compile(r"vllm:(\w+)(?:\{[^}]*\})? (\S+)")
# vLLM's own figures that are passed on: its name, ours, what it says.
_GAUGES = {
    "kv_cache_usage_perc": (
        "lmft_engine_kv_cache_usage_ratio",
        "Of the memory for keys and values, what is in use: 1 is all.",
    ),
    "num_requests_running": (
        "lmft_engine_requests_running",
        "Requests in the engine's present batch.",
    ),
    "num_requests_waiting": (
        "lmft_engine_requests_waiting",
        "Requests that wait inside the engine for room in a batch.",
    ),
}
_COUNTERS = {
    "prompt_tokens_total": ("lmft_engine_prompt_tokens", "Tokens of prompts that it has read."),
    "generation_tokens_total": (
        "lmft_engine_generation_tokens",
        "Tokens that it has generated, for probes and for clients that left, too.",
    ),
    "num_preemptions_total": (
        "lmft_engine_preemptions",
        "Requests that it had to take out of a batch and begin again, for want of memory.",
    ),
    "prefix_cache_queries_total": (
        "lmft_engine_prefix_cache_queries_tokens",
        "Prompt tokens that were looked up in the prefix cache.",
    ),
    "prefix_cache_hits_total": (
        "lmft_engine_prefix_cache_hits_tokens",
        "Prompt tokens that the prefix cache had.",
    ),
}


def relayed(said: dict[str, str]) -> list[Metric]:
    """Args: said: the text of each engine's /metrics; empty where it has none."""
    families: list[Metric] = []
    sums = {name: _sums(text) for name, text in said.items()}
    for kind, known in ((GaugeMetricFamily, _GAUGES), (CounterMetricFamily, _COUNTERS)):
        for theirs, (ours, says) in known.items():
            family = kind(ours, says, labels=["engine"])
            for name, values in sums.items():
                if theirs in values:
                    family.add_metric([name], values[theirs])
            families.append(family)
    return families


def _sums(text: str) -> dict[str, float]:
    """vLLM's figures by name, summed over its own labels."""
    sums: dict[str, float] = defaultdict(float)
    for line in text.splitlines():
        if (match := _SAMPLE.fullmatch(line)) and (match[1] in _GAUGES or match[1] in _COUNTERS):
            sums[match[1]] += float(match[2])
    return sums
