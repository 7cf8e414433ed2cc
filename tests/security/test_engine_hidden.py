"""Nothing of vLLM can be reached but through the gateway: not its routes, not its socket, not
without its key."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.conftest import START_SECONDS, Gateway

pytestmark = pytest.mark.engine

# vLLM 0.32's own, most of which its key does not guard.
ROUTES = [
    *("/tokenize", "/detokenize", "/tokenizer_info", "/load", "/ping", "/version", "/server_info"),
    *("/invocations", "/inference/v1/generate", "/generative_scoring", "/pooling", "/classify"),
    *("/score", "/rerank", "/v2/rerank", "/v1/score", "/v1/rerank", "/v1/audio/transcriptions"),
    *("/v1/load_lora_adapter", "/v1/unload_lora_adapter", "/load_lora_adapter"),
    *("/pause", "/resume", "/is_paused", "/sleep", "/wake_up", "/is_sleeping", "/abort_requests"),
    *("/reset_prefix_cache", "/reset_mm_cache", "/collective_rpc", "/get_world_size"),
    *("/init_weight_transfer_engine", "/start_weight_update", "/update_weights"),
    *("/start_profile", "/stop_profile", "/scale_elastic_ep", "/is_scaling_elastic_ep"),
    *("/v1/chat/completions/render", "/v1/completions/render", "/v1/messages", "/v1/realtime"),
]


@pytest.fixture(scope="module")
def engines(gateway: Gateway) -> list[Path]:
    """The sockets of the server's engines."""
    marker = "--uds="
    found = [
        Path(argument.removeprefix(marker))
        for process in family(gateway)
        for argument in process.cmdline()
        if argument.startswith(marker)
    ]
    assert found
    return found


def family(gateway: Gateway) -> list[psutil.Process]:
    server = psutil.Process(gateway.process.pid)
    return [server, *server.children(recursive=True)]


@pytest.fixture
def http(gateway: Gateway) -> Iterator[httpx.Client]:
    with gateway.client() as client:
        yield client


@pytest.mark.parametrize("path", ROUTES)
def test_a_route_of_vllms_own_is_not_there(http: httpx.Client, path: str) -> None:
    for method in ("GET", "POST"):
        response = http.request(method, path, json={"model": "embedded", "prompt": "x"})
        # 405: the pages take every GET that nothing else took.
        assert response.status_code in (404, 405), f"{method} {path}: {response.text[:200]}"


def test_no_process_of_the_server_listens_beyond_this_machine(gateway: Gateway) -> None:
    listening = {
        connection.laddr.ip
        for process in family(gateway)
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


def test_the_socket_is_where_only_this_user_can_go(engines: list[Path]) -> None:
    for engine in engines:
        assert stat.S_IMODE(engine.parent.stat().st_mode) == 0o700
        assert stat.S_ISSOCK(engine.stat().st_mode)


def test_even_there_the_models_need_the_key(engines: list[Path]) -> None:
    for engine in engines:
        transport = httpx.HTTPTransport(uds=str(engine))
        with httpx.Client(transport=transport, base_url="http://engine", timeout=60) as client:
            assert client.get("/v1/models").status_code == 401
            for key in ("none", "EMPTY", "lmft"):
                headers = {"authorization": f"Bearer {key}"}
                body = {"lora_name": "x", "lora_path": "/tmp"}
                response = client.post("/v1/load_lora_adapter", json=body, headers=headers)
                assert response.status_code == 401


def test_the_engines_key_is_not_the_gateways(engines: list[Path], gateway: Gateway) -> None:
    """It is made anew for each engine, and stands on no command line."""
    for process in family(gateway):
        key = process.environ().get("VLLM_API_KEY")
        if key is not None and "--uds=" in " ".join(process.cmdline()):
            assert len(key) >= 43
            for other in family(gateway):
                assert key not in " ".join(other.cmdline())
            with httpx.Client(base_url=gateway.url, timeout=START_SECONDS) as client:
                headers = {"authorization": f"Bearer {key}"}
                assert client.post("/pause", headers=headers).status_code in (404, 405)
