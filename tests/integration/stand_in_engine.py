"""A process that speaks as much of vLLM's HTTP as the pool does, and starts at once.

It knows what adapters would answer from the references that lie beside them. With it the pool's
life and death can be tried in seconds, with real processes; what vLLM itself does is tried by
tests/fault. Files in `$STAND_IN` make it misbehave and tell what it was asked:

    refuses-NAME    the engine of model directory NAME does not start
    broken          whatever it is asked to generate, it answers 500
    lies            as a LoRA, adapters answer as their base does
    calls           a line for each start, load and unload
"""

from __future__ import annotations

import json
import os
import signal
import socketserver
import sys
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

CONTROL = Path(os.environ["STAND_IN"])


def note(line: str) -> None:
    with (CONTROL / "calls").open("a") as file:
        file.write(line + "\n")


class Model:
    """What is asked, by which name, and what would be answered."""

    def __init__(self, base: Path) -> None:
        self.loaded: dict[str, dict[tuple[int, ...], dict[str, Any]]] = {}
        self.base: dict[tuple[int, ...], list[float]] = {}
        self.merged = base.parent.name == "merged"
        if self.merged:
            adapter = Path(os.environ["LMFT_HOME"]) / "adapters" / base.name
            self.whole = self.read(adapter)

    def read(self, adapter: Path) -> dict[tuple[int, ...], dict[str, Any]]:
        file = adapter / "probe.json"
        prompts = json.loads(file.read_text())["prompts"] if file.exists() else []
        self.base |= {tuple(one["token_ids"]): one["base_logprobs"] for one in prompts}
        return {tuple(one["token_ids"]): one for one in prompts}

    def answer(self, name: str, ids: list[int], n_tokens: int) -> tuple[list[float], list[int]]:
        known = self.whole if self.merged else self.loaded.get(name, {})
        lying = not self.merged and (CONTROL / "lies").exists()
        if (one := known.get(tuple(ids))) and not lying:
            return one["adapter_logprobs"], one["greedy_tokens"][:n_tokens]
        return self.base.get(tuple(ids), [-1.0] * (len(ids) - 1)), [0] * n_tokens


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    model: Model

    def address_string(self) -> str:
        return "socket"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.send({})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path == "/v1/load_lora_adapter":
            note(f"load {body['lora_name']}")
            self.model.loaded[body["lora_name"]] = self.model.read(Path(body["lora_path"]))
            self.send({})
        elif self.path == "/v1/unload_lora_adapter":
            note(f"unload {body['lora_name']}")
            del self.model.loaded[body["lora_name"]]
            self.send({})
        elif (CONTROL / "broken").exists():
            self.send({"error": {"message": "EngineCore died"}}, 500)
        else:
            self.send({"choices": list(self.choices(body))})

    def choices(self, body: dict[str, Any]) -> Any:
        prompts = body["prompt"] if isinstance(body["prompt"][0], list) else [body["prompt"]]
        for index, ids in enumerate(prompts):
            logprobs, tokens = self.model.answer(body["model"], ids, body["max_tokens"])
            scored = zip(ids[1:], logprobs, strict=True)
            positions = [{str(token): {"logprob": value}} for token, value in scored]
            yield {"index": index, "token_ids": tokens, "prompt_logprobs": [None, *positions]}

    def send(self, content: dict[str, Any], status: int = 200) -> None:
        text = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 128


def main() -> None:
    options = dict(argument[2:].split("=", 1) for argument in sys.argv[2:] if "=" in argument)
    base = Path(options["model"])
    note(f"start {base.name} {time.monotonic()}")
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    # Long enough for two to meet, if they could.
    time.sleep(0.2)
    if (CONTROL / f"refuses-{base.name}").exists():
        sys.exit("ValueError: told to refuse, in /etc/secret/place")
    Handler.model = Model(base)
    with Server(options["uds"], Handler) as server:
        note(f"ready {base.name} {time.monotonic()}")
        server.serve_forever()


if __name__ == "__main__":
    main()
