"""A process that speaks as much of vLLM's HTTP as the watchdog hears; started by test_watchdog.py.

What it does with a question is what the file `mode` in `$FAKE_ENGINE` says at that moment:

    answers     at once
    counts      never; each look at its /metrics finds one token more
    silent      never, and its figures stand still: the process that computes hangs
    crashes     never: it is gone, a moment after it has hung up
    refuses     at once, that it cannot

`asked` in that folder has a line for each question. With a file `deaf` it hears no SIGTERM.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import socketserver
import sys
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path

CONTROL = Path(os.environ["FAKE_ENGINE"])
TOKENS = itertools.count(1)


def mode() -> str:
    return (CONTROL / "mode").read_text()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    n_tokens = 0

    def address_string(self) -> str:
        return "socket"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        if mode() == "counts":
            Handler.n_tokens = next(TOKENS)
        figures = f'vllm:generation_tokens_total{{engine="0"}} {float(Handler.n_tokens)}\n'
        # What moves on an engine that hangs, too.
        figures += f"http_requests_total {next(TOKENS)}\n"
        self.send(figures if self.path == "/metrics" else "{}")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/v1/completions":
            with (CONTROL / "asked").open("a") as file:
                file.write("once\n")
            if mode() == "crashes":
                print("SomeError: of its own", flush=True)
                threading.Timer(0.5, os._exit, (7,)).start()
                self.close_connection = True
                return
            if mode() == "refuses":
                print("SomeError: no room", flush=True)
                self.send(json.dumps({"error": {"message": "no room"}}), 500)
                return
            if mode() != "answers":
                threading.Event().wait()
        self.send(json.dumps({"choices": [], "tokens": [1]}))

    def send(self, text: str, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 128


def main() -> None:
    if (CONTROL / "deaf").exists():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with Server(sys.argv[1], Handler) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
