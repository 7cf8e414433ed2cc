"""The local engine as the pool runs it: a process on a socket, asked by the gateway's client."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from serving.engine.client import EngineClient
from serving.engine.refusals import AdapterRefused, UpstreamRefusal
from serving.engine.work import counted
from serving.watch.relayed import relayed
from tests.conftest import ROOT, START_SECONDS
from tests.unit.local_engine import make_models

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
KEY = "a key for this test"
T = TypeVar("T")


@dataclass(frozen=True)
class Local:
    models: Path
    socket: Path
    process: subprocess.Popen[bytes]

    def use(self, what: Callable[[EngineClient], Awaitable[T]]) -> T:
        async def inner() -> T:
            client = EngineClient(self.socket, KEY)
            try:
                return await what(client)
            finally:
                await client.close()

        return asyncio.run(inner())


def start(models: Path, directory: Path) -> Local:
    path = directory / "s"
    process = subprocess.Popen(
        [
            *(sys.executable, "-P", "-m", "serving.engine.local.child", str(os.getpid())),
            f"--model={models / 'base'}",
            *("--served-model-name=base", f"--uds={path}", "--max-model-len=128"),
            *("--dtype=float32", "--max-loras=3", f"--kv-cache-memory-bytes={1 << 30}"),
        ],
        cwd=ROOT,
        env={**os.environ, "VLLM_API_KEY": KEY, "OMP_NUM_THREADS": "1"},
    )
    local = Local(models, path, process)
    deadline = time.monotonic() + START_SECONDS
    while not local.use(lambda client: client.healthy()):
        assert process.poll() is None, f"the engine ended with {process.returncode}"
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return local


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    """With the adapters `one` and `two` loaded."""
    models = make_models(tmp_path_factory.mktemp("models"))
    # A socket's path is limited to about 100 bytes.
    with tempfile.TemporaryDirectory(prefix="lmft-local-") as directory:
        running = start(models, Path(directory))

        async def load(client: EngineClient) -> None:
            for name in ("one", "two"):
                await client.load_adapter(name, models / name)

        try:
            running.use(load)
            yield running
        finally:
            running.process.terminate()
            running.process.wait(timeout=START_SECONDS)


def question(model: str = "base", **fields: Any) -> dict[str, Any]:
    return {
        "model": model,
        "prompt": [5, 6, 7],
        "max_tokens": 12,
        "temperature": 0,
        "ignore_eos": True,
    } | fields


async def ask(client: EngineClient, *arguments: Any, **fields: Any) -> dict[str, Any]:
    return await client.json("/v1/completions", question(*arguments, **fields))


async def streamed(client: EngineClient, **fields: Any) -> list[dict[str, Any]]:
    body = question(**fields) | {"stream_options": {"include_usage": True}}
    return [event async for event in client.stream("/v1/completions", body)]


def test_whole_and_streamed_answers_are_the_same_with_tokens_scores_and_usage(
    local: Local,
) -> None:
    fields = {
        "model": "one",
        "n": 2,
        "temperature": 0.9,
        "seed": 11,
        "logprobs": 2,
        "echo": True,
        "return_token_ids": True,
    }
    whole = local.use(lambda client: ask(client, **fields))
    events = local.use(lambda client: streamed(client, **fields))
    assert events[-1]["choices"] == []
    assert events[-1]["usage"] == whole["usage"]
    assert whole["usage"] == {"prompt_tokens": 3, "completion_tokens": 24, "total_tokens": 27}
    assert whole["choices"][0]["text"] != whole["choices"][1]["text"]
    for choice in whole["choices"]:
        mine = [
            event["choices"][0]
            for event in events[:-1]
            if event["choices"][0]["index"] == choice["index"]
        ]
        assert "".join(piece["text"] for piece in mine) == choice["text"]
        assert [token for piece in mine for token in piece["token_ids"]] == choice["token_ids"]
        for key in ("tokens", "text_offset", "token_logprobs", "top_logprobs"):
            assert [entry for piece in mine for entry in piece["logprobs"][key]] == (
                pytest.approx(choice["logprobs"][key], abs=1e-4)
                if key == "token_logprobs"
                else choice["logprobs"][key]
                if key != "top_logprobs"
                else [entry and pytest.approx(entry, abs=1e-4) for entry in choice["logprobs"][key]]
            )
        assert mine[-1]["finish_reason"] == choice["finish_reason"] == "length"
        assert choice["prompt_logprobs"][0] is None
        assert set(choice["prompt_logprobs"][1]["6"]) == {"logprob", "rank", "decoded_token"}
        assert choice["logprobs"]["token_logprobs"][0] is None
        assert choice["text"].startswith("".join(choice["logprobs"]["tokens"][:3]))


def test_base_and_adapters_at_one_moment_answer_as_each_does_alone(local: Local) -> None:
    async def both(client: EngineClient) -> None:
        names = ("base", "one", "two")
        alone = [(await ask(client, name))["choices"][0]["text"] for name in names]
        assert len(set(alone)) == 3
        together = await asyncio.gather(*(ask(client, name) for name in names * 4))
        assert [answer["choices"][0]["text"] for answer in together] == alone * 4

    local.use(both)


def test_an_echo_of_the_prompt_alone_generates_nothing(local: Local) -> None:
    answer = local.use(lambda client: ask(client, max_tokens=0, echo=True, logprobs=0))
    choice = answer["choices"][0]
    assert len(choice["logprobs"]["tokens"]) == 3
    assert choice["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 0


def test_a_stop_string_and_the_end_of_text_end_an_answer_unseen(local: Local) -> None:
    async def stopped(client: EngineClient) -> None:
        text = (await ask(client))["choices"][0]["text"]
        stop = text[4:7]
        choice = (await ask(client, stop=["never", stop]))["choices"][0]
        assert (choice["finish_reason"], choice["stop_reason"]) == ("stop", stop)
        assert choice["text"] == text[: text.index(stop)]
        ended = await ask(client, logit_bias={"0": 100}, ignore_eos=False, return_token_ids=True)
        choice = ended["choices"][0]
        assert (choice["finish_reason"], choice["text"], choice["token_ids"]) == ("stop", "", [0])

    local.use(stopped)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"model": "three"}, 404),
        ({"prompt": [8192]}, 400),
        ({"max_tokens": 126}, 400),
        ({"structured_outputs": {"json": {}}}, 400),
        ({"prompt": "text"}, 400),
    ],
)
def test_what_cannot_be_answered_is_refused_whole_and_streamed(
    local: Local, fields: dict[str, Any], status: int
) -> None:
    for way in (ask, streamed):
        with pytest.raises(UpstreamRefusal) as refusal:
            local.use(lambda client, way=way: way(client, **fields))
        assert refusal.value.status == status


def test_nothing_is_answered_without_the_key(local: Local) -> None:
    async def unlocked() -> None:
        transport = httpx.AsyncHTTPTransport(uds=str(local.socket))
        for key in ({}, {"authorization": "Bearer wrong"}, {"authorization": KEY}):
            async with httpx.AsyncClient(
                transport=transport, base_url="http://engine", headers=key
            ) as client:
                for method in ("GET", "POST", "DELETE", "OPTIONS"):
                    for path in ("/health", "/v1/completions", "/v1/load_lora_adapter", "/docs"):
                        assert (await client.request(method, path)).status_code == 401

    asyncio.run(unlocked())


def test_routes_that_vllm_has_and_this_engine_has_not_are_not_found(local: Local) -> None:
    with pytest.raises(UpstreamRefusal, match="no such route"):
        local.use(lambda client: client.json("/v1/chat/completions", {}))


def test_its_figures_count_what_it_reads_and_writes_by_vllms_names(local: Local) -> None:
    def figures() -> dict[str, float]:
        said = local.use(lambda client: client.metrics())
        assert len(counted(said)) == 2
        families = relayed({"own": said})
        return {one.name: sample.value for one in families for sample in one.samples}

    before = figures()
    local.use(lambda client: ask(client, prompt=[[5, 6, 7], [8, 9]]))
    after = figures()
    new = {name: after[name] - before[name] for name in after}
    assert new == {"lmft_engine_prompt_tokens": 5, "lmft_engine_generation_tokens": 24}


def test_a_connection_that_closes_gives_its_room_to_others(local: Local) -> None:
    """Three adapters may be in a batch: were the first answers not aborted, the last waited."""

    async def leave(client: EngineClient) -> None:
        for name in ("three", "four"):
            await client.load_adapter(name, local.models / "one")
        long = {"max_tokens": 120, "prompt": [[1], [2]] * 32}
        for name in ("one", "two", "three"):
            stream = client.stream("/v1/completions", question(name, **long))
            await anext(stream)
            await stream.aclose()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.2):
                    await ask(client, name, **long)
        steps = 0
        watched = client.stream("/v1/completions", question("one", max_tokens=100))
        waiting = asyncio.create_task(ask(client, "four", max_tokens=1))
        async for _ in watched:
            steps += 1
            if waiting.done():
                break
        await watched.aclose()
        assert (await waiting)["usage"]["completion_tokens"] == 1
        # Of the hundred; what was left behind would have taken more than that.
        assert steps < 50
        for name in ("three", "four"):
            await client.unload_adapter(name)

    local.use(leave)


def test_an_adapter_that_is_unloaded_in_mid_answer_finishes_it_and_is_gone(local: Local) -> None:
    async def unload(client: EngineClient) -> None:
        await client.load_adapter("short", local.models / "two")
        wanted = (await ask(client, "two", max_tokens=60))["choices"][0]["text"]
        events: AsyncIterator[dict[str, Any]] = client.stream(
            "/v1/completions", question("short", max_tokens=60)
        )
        text = (await anext(events))["choices"][0]["text"]
        await client.unload_adapter("short")
        with pytest.raises(UpstreamRefusal, match="does not exist"):
            await ask(client, "short")
        async for event in events:
            text += event["choices"][0]["text"]
        assert text == wanted

    local.use(unload)


def test_adapters_that_cannot_be_loaded_disturb_no_answer_and_name_no_path(
    local: Local, tmp_path: Path
) -> None:
    async def attack(client: EngineClient) -> None:
        wanted = (await ask(client, "one", max_tokens=40))["choices"][0]["text"]
        (tmp_path / "empty").mkdir()
        shutil.copytree(local.models / "two", tmp_path / "torn")
        (tmp_path / "torn" / "adapter_model.safetensors").write_bytes(b"\x80\x04.")
        good = [asyncio.create_task(ask(client, "one", max_tokens=40)) for _ in range(6)]
        for number in range(4):
            for bad in ("empty", "torn", "missing"):
                with pytest.raises(AdapterRefused) as refusal:
                    await client.load_adapter(f"{bad}{number}", tmp_path / bad)
                assert str(tmp_path) not in str(refusal.value)
        with pytest.raises(AdapterRefused, match="already"):
            await client.load_adapter("one", local.models / "two")
        answers = await asyncio.gather(*good)
        assert {answer["choices"][0]["text"] for answer in answers} == {wanted}

    local.use(attack)


def test_a_slow_reader_holds_nobody_up(local: Local) -> None:
    body = question("one", max_tokens=120)
    with socket.socket(socket.AF_UNIX) as lazy:
        lazy.connect(str(local.socket))
        import json

        text = json.dumps(body | {"stream": True, "logprobs": 20}).encode()
        head = f"POST /v1/completions HTTP/1.1\r\nhost: e\r\nauthorization: Bearer {KEY}\r\n"
        lazy.sendall(f"{head}content-length: {len(text)}\r\n\r\n".encode() + text)
        answer = local.use(lambda client: ask(client, "two"))
        assert answer["usage"]["completion_tokens"] == 12


def test_it_ends_on_sigterm_with_answers_under_way(local: Local) -> None:
    with tempfile.TemporaryDirectory(prefix="lmft-local-") as directory:
        other = start(local.models, Path(directory))

        async def interrupted(client: EngineClient) -> None:
            await anext(client.stream("/v1/completions", question(max_tokens=120)))
            other.process.send_signal(signal.SIGTERM)

        other.use(interrupted)
        assert other.process.wait(timeout=START_SECONDS) in (0, -signal.SIGTERM)
