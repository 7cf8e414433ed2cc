"""What operators see of the real server: aborts, metrics, logs, request ids, the way down."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import openai
import pytest

from lmft import paths
from lmft.registry.adapters import get_adapter
from lmft.registry.traffic_files import read_traffic
from tests.conftest import ROOT, START_SECONDS, Adapters, Gateway, free_port, run_lmft, wait_ready

pytestmark = pytest.mark.engine

# More than the engine makes while a test looks at it.
SHORT, LONG = 8, 900
SAMPLE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")


def metrics(http: httpx.Client) -> dict[str, float]:
    """By name, and by `name{label="value",...}`; a name alone is the sum of its series."""
    said = http.get("/metrics")
    assert said.status_code == 200
    values: dict[str, float] = defaultdict(float)
    for line in said.text.splitlines():
        if match := SAMPLE.fullmatch(line):
            values[match[1]] += float(match[3])
            if match[2]:
                values[f"{match[1]}{{{match[2]}}}"] = float(match[3])
    return values


def grown(http: httpx.Client, before: dict[str, float], model: str) -> Callable[[str], float]:
    """How much a model's figure has grown since `before`."""
    after = metrics(http)
    return lambda name: after[f'{name}{{model="{model}"}}'] - before[f'{name}{{model="{model}"}}']


def eventually(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + START_SECONDS / 4
    while not condition():
        assert time.monotonic() < deadline, f"still waiting for {what}"
        time.sleep(0.02)


def logged(request_id: str) -> dict[str, Any]:
    """The line of a request, which is written at its very end."""
    found: list[dict[str, Any]] = []

    def look() -> bool:
        file = paths.home() / "logs" / "gateway.log"
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        found.extend(
            line for line in map(json.loads, text.splitlines()) if line["id"] == request_id
        )
        return bool(found)

    eventually(look, "the log")
    return found[0]


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_stops_the_engines_work(gateway: Gateway, stream: bool) -> None:
    body = {"model": gateway.adapter_id, "prompt": "You", "max_tokens": LONG, "stop": []}
    marker, url = f"leaves-{stream}", httpx.URL(gateway.url)
    with gateway.client() as http:
        before = metrics(http)["lmft_engine_generation_tokens_total"]

        def made() -> float:
            return metrics(http)["lmft_engine_generation_tokens_total"] - before

        content = json.dumps(body | {"stream": stream})
        with socket.create_connection((url.host, url.port or 80)) as line:
            line.sendall(
                f"POST /v1/completions HTTP/1.1\r\nhost: {url.host}\r\nx-request-id: {marker}\r\n"
                f"content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
                f"{content}".encode()
            )
            eventually(lambda: made() > 0, "its first tokens")
        entry = logged(marker)
        eventually(lambda: metrics(http)["lmft_engine_requests_running"] == 0, "the engine")
        rest = made()
        assert rest < LONG
        assert (entry["status"], entry["code"]) == (499, "client_gone")
        assert entry["model"] == gateway.adapter_id
        # It really is over, and not only out of the batch; a watcher may ask for one token.
        time.sleep(0.5)
        assert made() - rest <= 1


def test_metrics_agree_with_what_was_asked(gateway: Gateway) -> None:
    with gateway.client() as http:
        before = metrics(http)
        prompt_tokens = completion_tokens = 0
        for stream, n in ((False, 1), (False, 2), (True, 1)):
            body = {
                "model": gateway.character_id, "prompt": "Good evening", "max_tokens": 6, "n": n,
                "stop": [], "stream": stream, "stream_options": {"include_usage": True},
            }  # fmt: skip
            if not stream:
                del body["stream_options"]
            answer = http.post("/v1/completions", json=body)
            assert answer.status_code == 200
            lines = [line for line in answer.text.splitlines() if '"usage": {' in line]
            usage = json.loads(lines[-1][6:] if stream else answer.text)["usage"]
            prompt_tokens += usage["prompt_tokens"]
            completion_tokens += usage["completion_tokens"]
        http.post("/v1/completions", json={"model": "no-such-model", "prompt": "x"})
        after = grown(http, before, gateway.character_id)
        text = http.get("/metrics").text
    assert after("lmft_prompt_tokens_total") == prompt_tokens
    assert after("lmft_completion_tokens_total") == completion_tokens == 24
    assert after("lmft_request_seconds_count") == 3
    assert after("lmft_waiting_seconds_count") == 3
    assert after("lmft_time_to_first_token_seconds_count") == 1
    assert 1 <= after("lmft_inter_token_latency_seconds_count") <= 5
    assert "no-such-model" not in text
    assert 'status="404"' in text
    assert "vllm" not in text.lower()


def test_engines_and_models_are_in_the_metrics(gateway: Gateway) -> None:
    with gateway.client() as http:
        said = metrics(http)
    assert said["lmft_ready"] == 1
    assert said[f'lmft_model_state{{model="{gateway.adapter_id}",state="live"}}'] == 1
    assert said["lmft_engine_state"] >= 1
    assert said["lmft_engine_starts_total"] >= 1
    assert said["lmft_engine_memory_bytes"] > 100e6
    assert said["lmft_adapter_loads_total"] >= 1
    assert said["lmft_adapter_load_seconds_sum"] > 0
    assert 0 <= said["lmft_engine_kv_cache_usage_ratio"] <= 1
    effect = said[f'lmft_probe_effect_nats{{model="{gateway.adapter_id}"}}']
    assert said[f'lmft_probe_difference_nats{{model="{gateway.adapter_id}"}}'] < 0.1 * effect


def test_the_log_has_a_line_a_request_and_neither_text_nor_key(gateway: Gateway) -> None:
    secret = "Zanzibar was never so far away"
    with gateway.client() as http:
        answer = http.post(
            "/v1/completions",
            json={"model": gateway.adapter_id, "prompt": secret, "max_tokens": 5, "stop": []},
            headers={"x-request-id": "log-1", "authorization": "Bearer sk-lmft-notakey"},
        )
    line = logged("log-1")
    assert line["status"] == 200
    assert line["route"] == "/v1/completions"
    assert line["completion_tokens"] == 5
    assert line["adapter"] == get_adapter(gateway.adapter_id).manifest.adapter_hash[:12]
    assert line["finish"] == ["length"]
    text = (paths.home() / "logs" / "gateway.log").read_text(encoding="utf-8")
    assert secret not in text
    assert "notakey" not in text
    assert json.dumps(answer.json()["choices"][0]["text"])[1:-1] not in text


def test_a_request_id_goes_round_as_the_sdk_shows_it(gateway: Gateway) -> None:
    client = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="none", max_retries=0)
    body = {"model": gateway.adapter_id, "prompt": "x", "max_tokens": 1}
    named = client.completions.create(**body, extra_headers={"x-request-id": "round-1"})
    assert named._request_id == "round-1"
    minted = client.completions.create(**body)
    assert str(minted._request_id).startswith("req_")
    with pytest.raises(openai.NotFoundError) as caught:
        client.completions.create(model="no-such-model", prompt="x")
    assert str(caught.value.request_id).startswith("req_")
    assert logged(str(caught.value.request_id))["code"] == "model_not_found"
    assert int(caught.value.response.headers["openai-processing-ms"]) >= 0


def test_looking_at_log_probabilities_changes_no_answer_and_shows_in_the_traffic(
    gateway: Gateway,
) -> None:
    body = {
        "model": gateway.adapter_id, "prompt": "You wake", "max_tokens": 6, "seed": 3, "stop": [],
    }  # fmt: skip
    texts: set[str] = set()
    with gateway.client() as http:

        def traffic() -> dict[str, Any]:
            entry = http.get(f"/v1/models/{gateway.adapter_id}").json()["lmft"]
            windows: dict[str, Any] = entry["traffic"] or {"hour": {"sampled_tokens": 0}}
            return windows["hour"]

        before = traffic()["sampled_tokens"]

        def sampled() -> bool:
            answer = http.post("/v1/completions", json=body).json()
            assert answer["choices"][0]["logprobs"] is None
            texts.add(answer["choices"][0]["text"])
            return bool(traffic()["sampled_tokens"] > before)

        eventually(sampled, "a request to be sampled")
        figures = traffic()
    assert len(texts) == 1
    assert figures["logprob"] < 0
    assert figures["drift"] is not None
    assert 0 < figures["temperature"] <= 2
    assert figures["requests"] >= 1


@pytest.fixture
def leaving_server(adapters: Adapters) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A server of the test's own that lets requests run for two seconds when it is told to end."""
    port = free_port()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "serving", "--no-ui", "--port", str(port)),
            *("--model", adapters.character, "--drain-seconds", "2"),
        ],
        cwd=ROOT,
    )
    try:
        wait_ready(f"http://127.0.0.1:{port}", process)
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def test_sigterm_refuses_new_requests_ends_streams_properly_and_keeps_the_traffic(
    leaving_server: tuple[subprocess.Popen[bytes], str], adapters: Adapters
) -> None:
    process, url = leaving_server
    before = read_traffic(adapters.character)
    told: dict[int, list[str]] = {SHORT: [], LONG: []}

    def ask(max_tokens: int) -> None:
        body = {
            "model": adapters.character, "prompt": "Good evening", "max_tokens": max_tokens,
            "stop": [], "stream": True,
        }  # fmt: skip
        with httpx.stream("POST", f"{url}/v1/completions", json=body, timeout=60) as response:
            told[max_tokens].extend(line for line in response.iter_lines() if line)

    asking = [threading.Thread(target=ask, args=(number,)) for number in told]
    for thread in asking:
        thread.start()
    eventually(lambda: all(told.values()), "both streams")
    process.send_signal(signal.SIGTERM)
    eventually(lambda: httpx.get(f"{url}/readyz").status_code == 503, "the door to close")
    assert httpx.get(f"{url}/readyz").json()["status"] == "stopping"
    assert httpx.get(f"{url}/healthz").status_code == 200
    refused = httpx.post(f"{url}/v1/completions", json={"model": "embedded", "prompt": "x"})
    assert refused.status_code == 503
    assert refused.json()["error"]["code"] == "shutting_down"
    assert refused.headers["retry-after"]
    for thread in asking:
        thread.join(START_SECONDS)
    assert '"finish_reason": "length"' in told[SHORT][-2]
    assert '"code": "shutting_down"' in told[LONG][-2]
    assert told[SHORT][-1] == told[LONG][-1] == "data: [DONE]"
    assert process.wait(timeout=START_SECONDS) == 0
    after = read_traffic(adapters.character)
    assert after is not None
    counted = after.total.requests - (before.total.requests if before else 0)
    assert counted >= 2
    shown = run_lmft("models", "show", adapters.character)
    assert "replies that end by themselves" in shown.stdout
